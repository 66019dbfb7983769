// Express without any metric of its own.
const express = require("express");

const app = express();
app.get("/", (_, res) => setTimeout(() => res.send("well"), 120));
app.get("/fail", () => {
  throw new Error("as asked");
});
app.listen(process.env.PORT, process.env.HOST);
