"""Pure: the template language of ConnectorClasses. Compile once, evaluate with limits."""
