"""Who may have how much: classes of GPU."""
