// Express with express-prom-bundle.
const express = require("express");
const promBundle = require("express-prom-bundle");

const app = express();
app.use(promBundle({ includeMethod: true }));
app.get("/", (_, res) => setTimeout(() => res.send("well"), 120));
app.get("/fail", () => {
  throw new Error("as asked");
});
app.listen(process.env.PORT, process.env.HOST);
