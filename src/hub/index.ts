export { isHollow } from "./headers.js";
export { isRepositoryName, pagePath, type Repository, type RepositoryType, repositoryOf, shownName } from "./name.js";
export { type Pushed, type PushTarget, push, pushTarget, type Upload, uploadSize } from "./push.js";
export { type HubSettings, hubSettings } from "./settings.js";
export { type SnapshotOptions, snapshotFolder, type Transfer } from "./snapshot.js";
export {
  adapterFiles,
  adapterOrModelFiles,
  modelFiles,
  previewFiles,
  tokenizerFiles,
  type Wanted,
  within,
  withTokenizer,
} from "./wanted.js";
