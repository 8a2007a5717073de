export { pagePath, type Repository, type RepositoryType, repositoryOf, shownName } from "./name.js";
export { type HubSettings, hubSettings } from "./settings.js";
export { type SnapshotOptions, snapshotFolder, type Transfer } from "./snapshot.js";
export {
  adapterFiles,
  adapterOrModelFiles,
  modelFiles,
  previewFiles,
  tokenizerFiles,
  type Wanted,
  withTokenizer,
} from "./wanted.js";
