# The REST service, from the wheel in dist/:  python -m build --wheel && docker build -t two-tier .
# docker run --read-only --tmpfs /tmp --cap-drop ALL -e TWO_TIER_TOKEN -p 127.0.0.1:8000:8000 two-tier
FROM python:3.12-slim AS build
ARG WHEELS=/wheels
ARG VENV=/opt/venv
COPY dist/two_tier_expressions-*.whl ${WHEELS}/
# the file itself and not the name, which the package index might know in another version
RUN set -- "${WHEELS}"/two_tier_expressions-*.whl \
    && python -m venv "${VENV}" \
    && "${VENV}/bin/python" -m pip install --no-cache-dir --disable-pip-version-check "$1[serve]"

FROM python:3.12-slim
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH MALLOC_ARENA_MAX=2 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["two-tier"]
CMD ["serve", "--address", "0.0.0.0"]
