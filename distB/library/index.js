export { loadAdapter, Model } from "./model.js";
export { Trainer } from "./trainer.js";
