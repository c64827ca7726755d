"""What must be seen between nodes and foreign peers. One file a matter, one function a case."""
