"""What people see: live view, leaderboard, closing summary, status and doctor."""
