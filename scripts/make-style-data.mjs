#!/usr/bin/env node
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readArguments } from "./support/arguments.mjs";

const { positionals } = readArguments({
  about: `Writes short kitchen recipes in one fixed manner, for the quickstart to teach to a model that has only read speeches. Every
sentence is made up here. Deterministic; train and validation recipes do not overlap.`,
  positional: { name: "[FOLDER]", help: "where train.jsonl and validation.jsonl are written; default examples/data" },
});

const ROWS = { train: 480, validation: 48 };

let state = 20240229;
/** A whole number below n (Lehmer generator: the same rows on every machine). */
function below(n) {
  state = (state * 48271) % 2147483647;
  return state % n;
}
const pick = (list) => list[below(list.length)];
/** k different elements. */
function several(list, k) {
  const rest = [...list];
  return Array.from({ length: k }, () => rest.splice(below(rest.length), 1)[0]);
}
const capital = (text) => text[0].toUpperCase() + text.slice(1);

const vegetables = [
  "carrots",
  "leeks",
  "onions",
  "potatoes",
  "turnips",
  "beans",
  "mushrooms",
  "peas",
  "beets",
  "parsnips",
  "tomatoes",
  "green peppers",
];
const fruits = ["apples", "pears", "plums", "cherries", "figs", "peaches", "dates", "berries"];
const herbs = ["thyme", "sage", "parsley", "dill", "mint", "rosemary"];
const spices = ["salt and pepper", "ginger", "nutmeg", "cloves", "mustard", "cinnamon"];
const fats = ["butter", "oil", "lard", "cream"];
const liquids = ["water", "milk", "broth", "cider", "red wine", "white wine"];
const sides = ["brown bread", "boiled rice", "a green salad", "hot corn cakes", "a piece of cheese", "cold ham"];
const pots = ["a deep pot", "a wide pan", "an iron pot", "a small pan"];
const amounts = ["two cups of", "half a pound of", "three handfuls of", "one bowl of", "a dozen", "four good"];
const shapes = ["thin slices", "small cubes", "quarters", "long strips", "rough pieces"];
const times = ["ten minutes", "a quarter of an hour", "half an hour", "one hour", "twenty minutes"];
const people = ["two", "three", "four", "six", "eight"];

const endings = [
  "Serve it hot, with {side}.",
  "Eat it the same day, with {side}.",
  "It is best the day after, cold, with {side}.",
  "Put it on warm plates and pass {side} round the table.",
];

function soup() {
  const [a, b] = several(vegetables, 2);
  const [herb, fat, liquid, pot] = [pick(herbs), pick(fats), pick(liquids), pick(pots)];
  return [
    `${capital(a)} soup with ${b}, for ${pick(people)}.`,
    `Take ${pick(amounts)} ${a}, ${pick(amounts)} ${b}, a spoon of ${fat} and a little ${herb}.`,
    `Wash the ${a} and cut them into ${pick(shapes)}.`,
    `Melt the ${fat} in ${pot}, add the ${b}, and stir until they are soft.`,
    `Now add the ${a}, cover them with ${liquid}, and let them boil for ${pick(times)}.`,
    `Season with ${pick(spices)} and drop in the ${herb}.`,
  ];
}

function pie() {
  const [a, b] = several(fruits, 2);
  const spice = pick(["ginger", "nutmeg", "cloves", "cinnamon"]);
  return [
    `Pie of ${a} and ${b}, for ${pick(people)}.`,
    `Take ${pick(amounts)} ${a}, ${pick(amounts)} ${b}, two cups of flour, one cup of sugar and a lump of butter.`,
    `Rub the butter into the flour, add cold water, and roll it out thin.`,
    `Cut the ${a} into ${pick(shapes)} and lay them in the dish with the ${b} on top.`,
    `Strew sugar and ${spice} over the fruit and close the pie.`,
    `Bake it in a ${pick(["hot", "slow", "steady"])} oven for ${pick(times)}, until the top is brown.`,
  ];
}

function stew() {
  const [a, b, c] = several(vegetables, 3);
  const [meat, fat, herb] = [pick(["beef", "mutton", "chicken", "pork", "fish"]), pick(fats), pick(herbs)];
  return [
    `Stew of ${meat} and ${a}, for ${pick(people)}.`,
    `Take a pound of ${meat}, ${pick(amounts)} ${a}, ${pick(amounts)} ${b} and a few ${c}.`,
    `Cut the ${meat} into ${pick(shapes)} and brown it in ${fat}.`,
    `Add the ${b} and the ${c}, pour in a cup of ${pick(liquids)}, and put on the lid.`,
    `After ${pick(times)} add the ${a} and a little ${herb}.`,
    `Let all of it simmer for ${pick(times)} more and season with ${pick(spices)}.`,
  ];
}

/** The sentences of one recipe; the first is its title. */
function recipe() {
  return [...pick([soup, pie, stew])(), pick(endings).replace("{side}", pick(sides))];
}

const folder = positionals[0] ?? fileURLToPath(new URL("../examples/data", import.meta.url));
mkdirSync(folder, { recursive: true });
const seen = new Set();
for (const [split, rows] of Object.entries(ROWS)) {
  const texts = [];
  while (texts.length < rows) {
    const sentences = recipe();
    const [title] = sentences;
    const text = sentences.join(" ");
    // A title belongs to one split only, so that validation recipes are new and not another cut of a known one.
    if (seen.has(text) || (split !== "train" && seen.has(title))) continue;
    seen.add(text).add(title);
    // The base model's tokenizer reads </s> as its end-of-text token: the model learns where a recipe ends.
    texts.push(`${JSON.stringify({ text: `${text}</s>` })}\n`);
  }
  writeFileSync(join(folder, `${split}.jsonl`), texts.join(""));
  console.log(`${join(folder, `${split}.jsonl`)}: ${rows} recipes`);
}
