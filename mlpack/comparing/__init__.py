"""Two artifacts side by side: which files differ, and how. Nothing is ever unpacked to a disk."""
