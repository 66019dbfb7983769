# docker build -f python.Dockerfile --build-arg SERVICE=auth -t shop-auth .
FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements.txt
COPY telemetry/telemetry.py telemetry/
COPY faults/faults.py faults/
ARG SERVICE
ENV SERVICE=$SERVICE PYTHONDONTWRITEBYTECODE=1
COPY $SERVICE $SERVICE
USER 65534:65534
EXPOSE 8000
CMD ["sh", "-c", "exec python3 -m $SERVICE.main"]
