// Child process of bench-chat: conversations to the written cache, the assistant's turns being learned; prints one JSON line.
import { fileRows, findChatTemplates, Tokenizer, tokenTable } from "../../dist/data/index.js";

const { file, tokenizer: folder, template, cache, maxLength, threads } = JSON.parse(process.argv[2]);
const tokenizer = await Tokenizer.open(folder);
const { templates } = findChatTemplates(template, folder);
const start = performance.now();
const before = process.cpuUsage();
const render = { kind: "chat", form: "messages", loss: "assistant", templates };
const how = { maxLength, longText: "truncate", addEos: false };
const options = { tokenizer, folder: cache, ...how, limit: Number.POSITIVE_INFINITY, threads };
const table = await tokenTable(fileRows([file], render, {}), options);
const seconds = (performance.now() - start) / 1000;
const { user, system } = process.cpuUsage(before);
let tokens = 0;
let learned = 0;
for (let i = 0; i < table.length; i++) {
  tokens += table.tokens(i);
  learned += table.sequence(i).lossMask.reduce((sum, one) => sum + one, 0);
}
const peak = process.resourceUsage().maxRSS;
const cpu = (user + system) / 1e6;
console.log(JSON.stringify({ seconds, cpu, rows: table.length, tokens, learned, peak_mib: peak / 1024 }));
