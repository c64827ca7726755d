"""What the cases are made of: processes, nodes, foreign peers, hosts. Judges nothing."""
