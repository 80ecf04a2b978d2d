"""Downloads: what servers, disks and other processes do to them."""
