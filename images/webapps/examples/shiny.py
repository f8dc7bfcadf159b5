"""An example to start from: change it, and start the workspace again."""

import matplotlib.pyplot as plt
import numpy as np
from shiny.express import input, render, ui

ui.h1("Hello from your workspace")
ui.input_slider("points", "Points", 10, 500, 100)


@render.plot
def walk():
    plt.plot(np.random.default_rng(0).normal(size=input.points()).cumsum())
