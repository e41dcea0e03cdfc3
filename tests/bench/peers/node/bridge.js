// bridge.js URL SOCKET [CA]: what one would write with Node and ws: each message is parsed and goes
// as a line to a Unix socket. Lines of one turn of the loop are written together, and reading rests
// while the consumer is slow.
"use strict";

const fs = require("fs");
const net = require("net");
const WebSocket = require("ws");

const [url, path, ca] = process.argv.slice(2);
const consumer = net.connect(path);
const upstream = new WebSocket(url, {
  perMessageDeflate: false,
  ca: ca ? fs.readFileSync(ca) : undefined,
});
let corked = false;
let position = 0;

function fail(error) {
  console.error(`node: ${error.message}`);
  process.exit(1);
}

upstream.on("message", (data) => {
  const text = data.toString();
  const event = JSON.parse(text);
  if (event.stream_position > position) position = event.stream_position;
  if (!corked) {
    corked = true;
    consumer.cork();
    setImmediate(() => {
      corked = false;
      consumer.uncork();
    });
  }
  if (!consumer.write(text + "\n") && !upstream.isPaused) {
    upstream.pause();
    consumer.once("drain", () => upstream.resume());
  }
});
upstream.on("error", fail);
upstream.on("close", () => process.exit(0));
consumer.on("error", fail);
