// The application behind the proxy in internal/e2e: express for HTTP, ws for WebSockets. It prints the port that it listens on.
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import express from "express";
import { WebSocketServer } from "ws";

const app = express();
app.set("trust proxy", "loopback");

// Says who is asking, as far as the headers tell.
app.get("/whoami", (request, response) => {
  response.json({
    user: request.get("Remote-User") ?? null,
    groups: request.get("Remote-Groups") ?? null,
    authorization: request.get("Authorization") ?? null,
    address: request.ip,
    host: request.host,
    protocol: request.protocol,
    url: request.originalUrl,
    query: request.query,
  });
});

app.post("/form", express.json(), express.urlencoded(), (request, response) => {
  response.status(201).location("/form/1").cookie("seen", "yes", { httpOnly: true }).json(request.body);
});

app.get("/redirect", (request, response) => response.redirect("/whoami"));

app.get("/films/:id", (request, response) => response.json({ id: request.params.id }));

app.get("/fails", () => {
  throw new Error("the application failed");
});

// Server-sent events: the second is sent once somebody has asked for /next.
const waiting = new Set();
app.get("/events", (request, response) => {
  response.set({ "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  response.write("id: 1\ndata: first\n\n");
  const next = () => response.end("id: 2\ndata: second\n\n");
  waiting.add(next);
  request.on("close", () => waiting.delete(next));
});
app.post("/next", (request, response) => {
  const count = waiting.size;
  for (const next of waiting) next();
  waiting.clear();
  response.json({ count });
});

// Reads a body of any length and tells its length and hash.
app.put("/upload", (request, response) => {
  const hash = createHash("sha256");
  let length = 0;
  request.on("data", (chunk) => {
    hash.update(chunk);
    length += chunk.length;
  });
  request.on("end", () => response.json({ length, sha256: hash.digest("hex") }));
});

// Sends as many bytes as it is asked for, no faster than they are read.
app.get("/download/:bytes", (request, response) => {
  const chunk = Buffer.alloc(64 * 1024, "x");
  let left = Number(request.params.bytes);
  response.set("Content-Length", String(left));
  const send = () => {
    while (left > 0) {
      const part = left < chunk.length ? chunk.subarray(0, left) : chunk;
      left -= part.length;
      if (!response.write(part)) return response.once("drain", send);
    }
    response.end();
  };
  send();
});

const server = createServer(app);
const sockets = new WebSocketServer({ server, path: "/echo" });
sockets.on("connection", (socket, request) => {
  socket.send(`hello ${request.headers["remote-user"] ?? "nobody"}`);
  socket.on("message", (data, binary) => socket.send(data, { binary }));
});

server.listen(0, "127.0.0.1", () => console.log(`listening on ${server.address().port}`));
