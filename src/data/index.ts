export {
  type CacheEntry,
  type CacheOptions,
  clearCache,
  fileRows,
  fileTexts,
  givenRows,
  givenTexts,
  listCache,
  type TextSource,
  type Tokenised,
  TokenTable,
  tokenTable,
} from "./cache/index.js";
export {
  adapterTemplates,
  type FoundTemplates,
  findChatTemplates,
  readChatTemplates,
  type StoredTemplates,
  TEMPLATE_FILE,
} from "./chat-templates.js";
export { type DataFile, pathOf } from "./data-file.js";
export { type BatchingOptions, type ClassifiedTexts, type MicroBatch, TokenDataset } from "./dataset.js";
export { epochOrder, groupByLength, splitValidation } from "./epoch-order.js";
export { dataFiles, requireApart } from "./files.js";
export {
  convertedFiles,
  type FolderFiles,
  folderFiles,
  repositoryFiles,
  type Selection,
  type Wanted,
} from "./folder.js";
export type { Column, ReadOptions } from "./formats/format.js";
export { isPipe } from "./formats/pipe.js";
export { lengthsOf } from "./lengths.js";
export { madeFile, readTokenizerText } from "./made-files.js";
export { generator } from "./random.js";
export { rebuiltDifference } from "./rebuilt.js";
export {
  type ChatSpec,
  type ChatTemplates,
  type ClassifiedSpec,
  type FormName,
  type LossOn,
  NO_TEMPLATE,
  type RenderSpec,
  rendererOf,
  templatesHash,
} from "./render/index.js";
export { firstRow, placesOf, readRows, valueProblem } from "./rows.js";
export { readEosIds } from "./special-tokens.js";
export { partFiles, type SplitPart, splitParts } from "./split-parts.js";
export { readTexts, type TextReadOptions, type TextRows } from "./texts.js";
export type { TokenStream } from "./token-stream.js";
export type { LongText } from "./tokenise/block.js";
export type { TextEnd } from "./tokenise/end-token.js";
export { Tokenizer } from "./tokenizer.js";
export { tokenizerDifference } from "./tokenizer-difference.js";
export { findMainFile, findTokenizerFiles, isTokenizerFile, TEMPLATE_FOLDER } from "./tokenizer-files.js";
