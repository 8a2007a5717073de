// Requests of an upload: with the token, repeated where a failure may pass, and never with a secret in an error.
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { LowrankError } from "../base/errors.js";
import { type Body, bodyBytes } from "../net/request.js";
import { Passing, uploadBroken, uploadFailure } from "./failures.js";
import { type Asked, ask } from "./http.js";
import type { Client } from "./listing.js";
import type { Repository } from "./name.js";
import { persist } from "./retry.js";

/** Answers of a content-addressed store have up to 64 MiB. */
const MOST_BYTES = 128 * 2 ** 20;
/** The hub works on a commit before it answers. */
const LEAST_TIMEOUT_MS = 60_000;

export interface Answer {
  status: number;
  headers: IncomingMessage["headers"];
  body: Buffer;
}

export function textBody(text: string): Body {
  const content = Buffer.from(text);
  return { bytes: content.length, open: () => Readable.from([content]) };
}

/** The words of an error of the hub, without what may be secret: the token, and signatures in addresses. */
function wordsOf(text: string, token: string | undefined): string {
  let words = "";
  try {
    const { error, message } = JSON.parse(text) as { error?: unknown; message?: unknown };
    words = [error, message].find((one): one is string => typeof one === "string") ?? "";
  } catch {}
  const plain = words.replace(/\?\S*/g, "").trim();
  return token === undefined ? plain : plain.replaceAll(token, "(the token)");
}

/**
 * One request of an upload.
 * @param isRight statuses that are an answer; others are an error
 * @throws LowrankError E_HUB_...; or the signal's reason
 */
export function exchange(
  { settings, signal, wait }: Client,
  repository: Repository,
  url: string,
  asked: Asked,
  isRight = (status: number) => status >= 200 && status < 300,
): Promise<Answer> {
  const timeoutMs = Math.max(settings.timeoutMs, LEAST_TIMEOUT_MS);
  const attempt = async (): Promise<Answer> => {
    try {
      const answer = await ask(settings, url, { ...asked, signal, timeoutMs });
      const body = await bodyBytes(answer, MOST_BYTES);
      if (isRight(answer.statusCode!)) return { status: answer.statusCode!, headers: answer.headers, body };
      throw uploadFailure(settings, repository, answer, wordsOf(body.toString(), settings.token));
    } catch (error) {
      signal?.throwIfAborted();
      throw error instanceof LowrankError || error instanceof Passing
        ? error
        : uploadBroken(settings, repository, error);
    }
  };
  return persist(attempt, signal, wait);
}
