// Child process of bench-data: texts to the written cache, or its opening where it is there; prints one JSON line.
import { fileTexts, Tokenizer, tokenTable } from "../../dist/data/index.js";

const { file, tokenizer: path, folder, maxLength, threads } = JSON.parse(process.argv[2]);
const tokenizer = await Tokenizer.open(path);
const start = performance.now();
const how = { maxLength, longText: "truncate", addEos: false };
const options = { tokenizer, folder, ...how, limit: Number.POSITIVE_INFINITY, threads };
const table = await tokenTable(fileTexts([file], { column: "text" }), options);
const seconds = (performance.now() - start) / 1000;
let tokens = 0;
for (let i = 0; i < table.length; i++) tokens += table.tokens(i);
console.log(JSON.stringify({ seconds, texts: table.length, tokens }));
