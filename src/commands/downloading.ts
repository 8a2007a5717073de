// Shows how far downloads from the hub and uploads to it are.
import { bytes, count } from "../base/text.js";
import type { DataFile, Wanted as Role } from "../data/index.js";
import { shownName, type Transfer, type Wanted } from "../hub/index.js";
import { type DatasetOptions, namedFiles } from "../setup/dataset.js";
import { adapterFolder, type Fetching, type Located, located, type NamedSources } from "../setup/hub.js";
import { Progress, showsBar } from "../tracking/index.js";
import { type Bar, type Lines, STDERR, shownWork } from "./loading.js";
import { warn } from "./warn.js";

const WORDS = { bar: "downloading, MiB", line: "downloading", done: "downloaded", unit: 2 ** 20 };

const announced = ({ repository, endpoint, files, bytes: size }: Transfer) =>
  `downloading ${shownName(repository)} from ${endpoint}: ${count(files.length)} file${files.length === 1 ? "" : "s"}, ${bytes(size)}`;

/** @returns a line for each download, and how far it is as a bar, or as lines where there is none */
export function downloading(progress: Bar, log: Lines): Required<Pick<Fetching, "onStart" | "onProgress">> {
  let show = (_done: number, _total: number) => {};
  return {
    onStart: (transfer) => {
      progress.stop();
      log.info(announced(transfer));
      show = shownWork(WORDS, progress, log, () => true, performance.now());
    },
    onProgress: (done, total) => show(done, total),
  };
}

/** @returns a function that shows how far an upload is */
export function uploading(progress: Bar, log: Lines): (done: number, total: number) => void {
  const words = { ...WORDS, bar: "uploading, MiB", line: "uploading", done: "uploaded" };
  return shownWork(words, progress, log, () => true, performance.now());
}

/** Work that may download, shown on standard error; for commands whose results go to standard output. */
async function shown<T>(work: (fetching: Fetching) => Promise<T>, more: Partial<Fetching> = {}): Promise<T> {
  const progress = await Progress.open(showsBar());
  try {
    return await work({ warn, note: STDERR.info, ...downloading(progress, STDERR), ...more });
  } finally {
    progress.stop();
  }
}

export function adapterShown(named: string): Promise<string> {
  return shown((fetching) => adapterFolder(named, fetching));
}

export function locatedShown<O extends NamedSources>(
  o: O,
  wanted?: Wanted,
  more?: Pick<Fetching, "headersDo">,
): Promise<Located<O>> {
  return shown((fetching) => located(o, fetching, wanted), more);
}

/** @param files that are named, which count before a data set. @param role of the texts */
export function namedFilesShown(o: DatasetOptions, files: string[] | undefined, role: Role): Promise<DataFile[]> {
  return shown((fetching) => namedFiles(o, files, role, fetching));
}
