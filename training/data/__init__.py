"""Where pictures come from, and how they go to the device: uint8, and changed there."""
