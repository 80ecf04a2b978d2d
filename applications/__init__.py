"""What a person runs: small programs on real data, through the public interface only."""
