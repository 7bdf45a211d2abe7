# The client of docker-compose.yml. Context: this directory.
FROM python:3.13-slim
RUN pip install --no-cache-dir pika==1.4.4
COPY client.py /client.py
USER 10002:10002
CMD ["python", "-u", "/client.py"]
