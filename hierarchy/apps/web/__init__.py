"""The Streamlit web page."""
