"""The Streamlit web page: images, videos and cameras in the browser."""
