# docker build -f nodejs.Dockerfile -t shop-products .
FROM node:24-slim
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts
COPY telemetry/telemetry.js telemetry/
COPY faults/faults.js faults/
COPY products products
USER 65534:65534
EXPOSE 8000
CMD ["node", "products/main.js"]
