// Child process of event-loop: a hub with one model of zeros, and W&B, as far as a download and a run speak to them. Prints its address.
import { createHash } from "node:crypto";
import { createServer } from "node:http";

const [megabytes] = process.argv.slice(2).map(Number);
const piece = Buffer.alloc(1 << 20);
const size = megabytes * piece.length;
const hash = createHash("sha256");
for (let i = 0; i < megabytes; i++) hash.update(piece);
const sha256 = hash.digest("hex");
const small = { "config.json": "{}", "tokenizer.json": "{}" };
const blobId = (text) => createHash("sha1").update(`blob ${text.length}\0${text}`).digest("hex");
const siblings = [
  ...Object.entries(small).map(([rfilename, text]) => ({ rfilename, size: text.length, blobId: blobId(text) })),
  { rfilename: "model.safetensors", size, blobId: "0".repeat(40), lfs: { sha256, size, pointerSize: 130 } },
];
const RUN = { name: "run", displayName: "run", project: { name: "lowrank", entity: { name: "somebody" } } };
const GRAPH = { upsertBucket: { inserted: true, bucket: RUN }, createRunFiles: { uploadHeaders: [], files: [] } };

async function sendZeros(response) {
  response.writeHead(200, { "content-length": size });
  for (let i = 0; i < megabytes && !response.destroyed; i++) {
    if (!response.write(piece)) await new Promise((resolve) => response.once("drain", resolve).once("close", resolve));
  }
  response.end();
}

const server = createServer((request, response) => {
  request.resume();
  const { pathname } = new URL(request.url, "http://localhost");
  const json = (content) => response.end(JSON.stringify(content));
  if (pathname.startsWith("/api/models/")) return json({ id: "a/model", sha: "0".repeat(40), siblings });
  const name = pathname.split("/").at(-1);
  if (pathname.includes("/resolve/")) return name in small ? response.end(small[name]) : sendZeros(response);
  return json(pathname === "/graphql" ? { data: GRAPH } : {});
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
