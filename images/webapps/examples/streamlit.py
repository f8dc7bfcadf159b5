"""An example to start from: change it, and the page follows."""

import numpy as np
import pandas as pd
import streamlit as st

st.title("Hello from your workspace")
points = st.slider("Points", 10, 500, 100)
walk = np.random.default_rng(0).normal(size=points).cumsum()
st.line_chart(pd.DataFrame({"walk": walk}))
