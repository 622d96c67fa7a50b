# An image that serves. Its steps are the commands that make runs everywhere else.
# The database is migrated by a command of its own, before a new version serves:
#   docker run --rm -e DATABASE_URL -e SECRET_KEY tasktalk tasktalk migrate
FROM node:22 AS web
WORKDIR /app
COPY Makefile ./
COPY web web
RUN make web

FROM python:3.13 AS build
WORKDIR /app
COPY Makefile requirements.lock ./
RUN make dependencies
COPY . .
RUN make runtime

FROM python:3.13-slim
WORKDIR /app
COPY --from=build /app ./
COPY --from=web /app/web/dist web/dist
# Only an SQLite file would be written, under data/.
RUN mkdir -p data && chown 10001:10001 data
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 ENVIRONMENT=production
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["python", "-c", "import os, urllib.request; port = os.environ.get('API_PORT', '8000'); urllib.request.urlopen(f'http://127.0.0.1:{port}/health', timeout=4)"]
CMD ["tasktalk", "serve", "--host", "0.0.0.0"]
