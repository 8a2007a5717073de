// The needs of an addon of the system's C library.
import { execFileSync } from "node:child_process";

export const NEWEST = "2.28";
const LIBRARIES = /^(libc|libm|libpthread|libdl|ld-linux-x86-64)\.so\.\d$/;

const isNewer = (version) => {
  const [major, minor] = version.split(".").map(Number);
  const [most, least] = NEWEST.split(".").map(Number);
  return major > most || (major === most && minor > least);
};

/** The symbols of an addon, by `objdump -p -T`, that a system with glibc 2.28 lacks: a line each. @param others libraries that it may need */
export function tooNew(objdump, others = []) {
  const problems = [];
  for (const [, library] of objdump.matchAll(/^ +NEEDED +(\S+)$/gm))
    if (!LIBRARIES.test(library) && !others.includes(library)) problems.push(`it needs the library ${library}`);
  for (const [, version, name] of objdump.matchAll(/\*UND\*.*?\(?GLIBC_([\d.]+)\)? +(\S+)$/gm))
    if (isNewer(version))
      problems.push(`${name} is of glibc ${version}: give it an older version in native/portable/glibc_2_28.cpp`);
  return problems;
}

/** @param others libraries that it may need @throws Error with a line for each thing that glibc 2.28 lacks */
export function checkGlibc(file, others = []) {
  const text = execFileSync("objdump", ["-p", "-T", file], { encoding: "utf8", env: { ...process.env, LC_ALL: "C" } });
  if (!text.includes("*UND*")) throw new Error(`${file}: objdump shows no symbols of it`);
  const problems = tooNew(text, others);
  if (problems.length > 0) throw new Error(`${file} does not load on glibc ${NEWEST}:\n  ${problems.join("\n  ")}`);
}
