// The .wandb file of an offline run, which `wandb sync` sends: LevelDB's log format around the messages of
// wandb/proto/wandb_internal.proto.
import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { crc32 } from "node:zlib";
import { writeError } from "../../../base/system-errors.js";
import { packageVersion } from "../../../base/version.js";
import { readNote, saveNote } from "../outbox.js";
import { integer, part } from "../protobuf.js";
import { type Item, type JsonValues, type Sink, textsOf, type WandbRun } from "./run.js";

/** ":W&B", 0xBEE1, version 0. */
const BEGINNING = Buffer.from([0x3a, 0x57, 0x26, 0x42, 0xe1, 0xbe, 0]);
const BLOCK = 32_768;
const HEAD = 7;
const [FULL, FIRST, MIDDLE, LAST] = [1, 2, 3, 4];

/** A record in pieces that do not cross blocks. @param at the record's place in the file */
export function framed(record: Buffer, at: number): Buffer {
  const pieces: Buffer[] = [];
  let place = at;
  for (let done = 0, isFirst = true; isFirst || done < record.length; isFirst = false) {
    const room = BLOCK - (place % BLOCK);
    if (room < HEAD) {
      pieces.push(Buffer.alloc(room));
      place += room;
    }
    const data = record.subarray(done, done + BLOCK - (place % BLOCK) - HEAD);
    const isLast = done + data.length === record.length;
    const type = isFirst ? (isLast ? FULL : FIRST) : isLast ? LAST : MIDDLE;
    const head = Buffer.alloc(HEAD);
    head.writeUInt8(type!, 6);
    head.writeUInt32LE(crc32(data, crc32(head.subarray(6))), 0);
    head.writeUInt16LE(data.length, 4);
    pieces.push(head, data);
    place += HEAD + data.length;
    done += data.length;
  }
  return Buffer.concat(pieces);
}

const [KEY, NESTED_KEY, VALUE] = [1, 2, 16];
const joined = (...parts: (Buffer | null)[]) => Buffer.concat(parts.filter((each) => each !== null));
const optional = (field: number, text: string | undefined) => (text === undefined ? null : part(field, text));
const items = (field: number, name: number, texts: JsonValues) =>
  joined(...Object.entries(texts).map(([key, text]) => part(field, joined(part(name, key), part(VALUE, text)))));
const time = (field: number, ms: number) =>
  part(field, joined(integer(1, Math.floor(ms / 1000)), integer(2, Math.round(ms % 1000) * 1_000_000)));

/** W&B's charts take the training step for their axis. */
const STEP_METRIC = "train/global_step";
const DEFINED = 3;

function messageOf(item: Item): Buffer {
  if ("history" in item) return part(2, joined(items(1, NESTED_KEY, item.history), part(2, integer(1, item.step))));
  if ("summary" in item) return part(3, items(1, KEY, item.summary));
  if ("stats" in item) return part(7, joined(time(2, item.timestamp), items(3, KEY, item.stats)));
  if ("output" in item) return part(13, joined(integer(1, 1), time(2, item.timestamp), part(3, `${item.output}\n`)));
  if ("file" in item)
    return part(6, part(1, joined(part(1, item.file), integer(3, item.file.startsWith("media/") ? 2 : 0))));
  return part(18, joined(integer(1, item.exit), integer(2, Math.round(item.runtime))));
}

function messagesOf(run: WandbRun): Buffer[] {
  const header = part(21, part(1, joined(part(1, `lowrank ${packageVersion()}`), part(2, "0.70.0"))));
  const begin = joined(
    part(1, run.id),
    optional(2, run.entity),
    part(3, run.project),
    part(4, items(1, KEY, textsOf(run.config))),
    optional(6, run.group),
    optional(7, run.jobType),
    optional(8, run.name),
    optional(9, run.notes),
    ...run.tags.map((tag) => part(10, tag)),
    time(17, run.startedAt),
  );
  const step = part(12, joined(part(1, STEP_METRIC), part(6, integer(DEFINED, 1))));
  const others = joined(part(2, "*"), part(4, STEP_METRIC), part(6, joined(integer(1, 1), integer(DEFINED, 1))));
  return [header, part(17, begin), step, part(12, others)];
}

interface Note<Front> {
  run: WandbRun;
  /** The .wandb file. */
  path: string;
  /** Bytes of it, without what ended an earlier part of the run. */
  size: number;
  records: number;
  front: Front | null;
}

function folderOf(parent: string, { id, startedAt }: WandbRun): string {
  const at = new Date(startedAt - 60_000 * new Date(startedAt).getTimezoneOffset()).toISOString();
  return join(parent, "wandb", `offline-run-${at.slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "_")}-${id}`);
}

/** A run in a folder. A run that goes on goes on in its file. */
export class Offline<Front> implements Sink<Front> {
  readonly #notePath: string;
  readonly #note: Note<Front>;
  readonly #fd: number;
  readonly #told: (message: string) => void;

  /**
   * @param note file of the run's own notes
   * @param parent of the folder `wandb`
   * @throws LowrankError E_WRITE
   */
  constructor(run: WandbRun, note: string, parent: string, told: (message: string) => void) {
    this.#notePath = note;
    this.#told = told;
    const earlier = readNote<Note<Front>>(note);
    const isThere = earlier && statSync(earlier.path, { throwIfNoEntry: false });
    const path = join(folderOf(parent, run), `run-${run.id}.wandb`);
    this.#note = isThere ? earlier : { run, path, size: 0, records: 0, front: null };
    try {
      mkdirSync(join(dirname(this.#note.path), "files"), { recursive: true });
      mkdirSync(dirname(note), { recursive: true });
      this.#fd = openSync(this.#note.path, isThere ? "r+" : "w");
      if (isThere) {
        ftruncateSync(this.#fd, this.#note.size);
        rmSync(`${this.#note.path}.synced`, { force: true });
      } else {
        this.#append(BEGINNING);
        for (const message of messagesOf(run)) this.#record(message);
        this.#save(null);
      }
    } catch (error) {
      throw writeError(error, this.#note.path);
    }
  }

  get front(): Front | null {
    return this.#note.front;
  }

  /** @throws LowrankError E_WRITE */
  put(item: Item, front: Front): void {
    try {
      if ("file" in item) {
        const path = join(dirname(this.#note.path), "files", item.file);
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, item.text);
      }
      const { size, records } = this.#note;
      this.#record(messageOf(item));
      // When the run goes on, its end is no longer one.
      if ("exit" in item) Object.assign(this.#note, { size, records });
      this.#save(front);
    } catch (error) {
      throw writeError(error, this.#note.path);
    }
  }

  async end(): Promise<void> {
    closeSync(this.#fd);
    this.#told(`W&B is offline: send the run with \`wandb sync ${dirname(this.#note.path)}\``);
  }

  #record(message: Buffer): void {
    this.#note.records++;
    const record = joined(integer(1, this.#note.records), message, part(200, part(1, this.#note.run.id)));
    this.#append(framed(record, this.#note.size));
  }

  #append(bytes: Buffer): void {
    const { size } = this.#note;
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at, bytes.length - at, size + at);
    this.#note.size += bytes.length;
  }

  #save(front: Front | null): void {
    this.#note.front = front;
    saveNote(this.#notePath, this.#note);
  }
}
