"""Pictures of single samples: input, target and, of a run, prediction and error; drawn by what a task declares, never by its name."""
