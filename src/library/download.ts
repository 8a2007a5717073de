// Downloads from the hub, as a program sees them.
import type { Transfer } from "../hub/index.js";
import type { Fetching } from "../setup/hub.js";

/** How far a download is. */
export interface Download {
  /** OWNER/NAME. */
  name: string;
  revision: string;
  /** Bytes. */
  done: number;
  total: number;
}

/** Options of every method that may download. */
export interface DownloadOptions {
  /** Ends a download. Its bytes so far are kept for the next one. */
  signal?: AbortSignal | undefined;
  /** Told how far a download is. */
  on_download?: ((download: Download) => void) | undefined;
}

export function fetching({ signal, on_download }: DownloadOptions, warn: (message: string) => void): Fetching {
  let of: Pick<Download, "name" | "revision"> = { name: "", revision: "" };
  const onStart = ({ repository: { name, revision } }: Transfer) => {
    of = { name, revision };
  };
  return { warn, note: warn, signal, onStart, onProgress: (done, total) => on_download?.({ ...of, done, total }) };
}
