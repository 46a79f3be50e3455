"""Systems x trials -> rows -> means with intervals -> tables and plots. No torch unless a checkpoint is opened."""
