// Fastify with fastify-metrics.
const fastify = require("fastify");
const metricsPlugin = require("fastify-metrics");

async function main() {
  const app = fastify();
  await app.register(metricsPlugin, { endpoint: "/metrics" });
  app.get("/", async () => {
    await new Promise((resolve) => setTimeout(resolve, 120));
    return "well";
  });
  app.get("/fail", async () => {
    throw new Error("as asked");
  });
  await app.listen({ port: process.env.PORT, host: process.env.HOST });
}

main();
