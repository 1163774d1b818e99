"""Search: the study, the driver that decides, and the engines that train for it."""
