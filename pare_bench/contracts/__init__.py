"""What a component must do. These modules are the only place where tensor shapes are fixed."""
