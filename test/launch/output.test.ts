// mpirun's standard error taken apart, and the cause of an end in one sentence. The reports are those of Open MPI 4.1.4 and 5.0.11.
import { expect, test } from "vitest";
import type { RankRecord } from "../../src/base/ranks.js";
import { causeOf } from "../../src/launch/cause.js";
import { RankOutput } from "../../src/launch/output.js";

const RULE = "-".repeat(74);
const KILLED_4 = `${RULE}
Primary job  terminated normally, but 1 process returned
a non-zero exit code. Per user-direction, the job has been aborted.
${RULE}
${RULE}
mpirun noticed that process rank 1 with PID 0 on node vm exited on signal 9 (Killed).
${RULE}
`;
const KILLED_5 = `${RULE}
prterun noticed that process rank 1 with PID 12517 on node vm exited on
signal 9 (Killed).
${RULE}
`;
const EXITED_4 = `${RULE}
mpirun detected that one or more processes exited with non-zero status, thus causing
the job to be terminated. The first process to do so was:

  Process name: [[18255,1],1]
  Exit code:    3
${RULE}
`;
const EXITED_5 = EXITED_4.replace("[[18255,1],1]", "[prterun-vm-12560@1,1]");
const record = (rank: number, code: string, message: string): RankRecord => ({
  ...{ rank, host: `host${rank}`, pid: 7, what: "error" },
  error: { code, message, where: "w" },
});
const line = (told: RankRecord) => `\x1e${JSON.stringify(told)}\n`;

function takenApart(chunks: Buffer[]) {
  const found = { text: "", records: [] as RankRecord[], reports: [] as string[] };
  const output = new RankOutput({
    text: (text) => {
      found.text += text;
    },
    record: (told) => void found.records.push(told),
    report: (report) => void found.reports.push(report),
  });
  for (const chunk of chunks) output.write(chunk);
  output.end();
  return found;
}

test("texts of people, records and reports, wherever the stream is cut", () => {
  const told = record(1, "E_X", "naïve — ö");
  const stream = Buffer.from(
    `saved ä\nstep 1\r\x1b[K${line(told)}mpirun: Forwarding signal 12 to job\n--\n${KILLED_4}[vm:1] 1 more process has sent help message help-x.txt\nend`,
  );
  const expected = {
    text: "saved ä\nstep 1\r\x1b[K\n--\nend",
    records: [told],
    reports: [
      "Primary job terminated normally, but 1 process returned a non-zero exit code. Per user-direction, the job has been aborted.",
      "mpirun noticed that process rank 1 with PID 0 on node vm exited on signal 9 (Killed).",
    ],
  };
  for (let cut = 0; cut <= stream.length; cut++)
    expect(takenApart([stream.subarray(0, cut), stream.subarray(cut)])).toEqual(expected);
  const bytes = Array.from(stream, (_, i) => stream.subarray(i, i + 1));
  expect(takenApart(bytes)).toEqual(expected);
});

test("a line without its end is shown soon", async () => {
  const shown: string[] = [];
  const output = new RankOutput({ text: (text) => void shown.push(text), record: () => {}, report: () => {} });
  output.write(Buffer.from("\r10 %"));
  await expect.poll(() => shown).toEqual(["\r10 %"]);
  output.end();
});

test("a report that mpirun did not end counts, too", () => {
  expect(takenApart([Buffer.from(`${RULE}\nhalf a\nreport`)])).toMatchObject({ text: "", reports: ["half a report"] });
});

const reportsOf = (text: string) => takenApart([Buffer.from(text)]).reports;
const ready: RankRecord = { rank: 1, host: "host1", pid: 7, what: "ready" };

test.each([
  ["4.1", KILLED_4],
  ["5.0", KILLED_5],
])("a killed rank under Open MPI %s", (_, reports) => {
  // What the others say of it is not the cause.
  const said = [ready, record(0, "E_GROUP", "rank 1 does not answer"), record(0, "E_X", "broken")];
  const { lost, error } = causeOf(said, reportsOf(reports), "ended with code 137");
  expect(lost).toBe(true);
  expect(error.code).toBe("E_RANK");
  expect(error.message).toMatch(/^rank 1 on vm was ended by signal 9 \(SIGKILL\); .* when memory has run out\.$/);
});

test.each([
  ["4.1", EXITED_4],
  ["5.0", EXITED_5],
])("a rank that ended without a message under Open MPI %s", (_, reports) => {
  const { lost, error } = causeOf([ready], reportsOf(reports), "ended with code 3");
  expect([lost, error.message]).toEqual([true, "rank 1 on host1 ended with code 3 and without a message."]);
});

test("a rank's own error is the cause, the first that is not about another rank", () => {
  const said = [record(0, "E_GROUP", "rank 2 left"), record(2, "E_FILE", "no file"), record(1, "E_FILE", "later")];
  const { lost, error } = causeOf(said, reportsOf(EXITED_4), "ended with code 1");
  expect([lost, error.code, error.message, error.where]).toEqual([false, "E_FILE", "rank 2 on host2: no file", "w"]);
});

test("a rank that saw another one leave is no cause while mpirun knows more", () => {
  const { lost, error } = causeOf([record(0, "E_GROUP", "rank 1 left")], reportsOf(EXITED_4), "ended with code 3");
  expect([lost, error.message]).toEqual([true, "rank 1 ended with code 3 and without a message."]);
  const alone = causeOf([record(0, "E_GROUP", "rank 1 left")], [], "ended with code 1");
  expect([alone.lost, alone.error.message]).toEqual([true, "rank 0 on host0: rank 1 left"]);
});

test("a rank that hangs is named by those that waited, whatever mpirun says of its end, and another start may end well", () => {
  const late = record(0, "E_TIMEOUT", "no answer from rank 1 on host1");
  const joined: RankRecord[] = [0, 1].map((rank) => ({ ...ready, rank, what: "joined" }));
  const { lost, error } = causeOf([ready, ...joined, late], reportsOf(KILLED_4), "ended with code 137");
  expect([lost, error.code, error.message]).toEqual([true, "E_TIMEOUT", "no answer from rank 1 on host1"]);
  // Before they have met, the launcher alone knows who was on its way.
  const joining: RankRecord = { ...ready, rank: 0, what: "joining" };
  const start = causeOf([ready, { ...ready, rank: 0 }, joining, record(0, "E_TIMEOUT", "Not all have come.")], [], "");
  expect(start.error.message).toBe("Not all have come. Still on its way: rank 1 on host1.");
});

test("a machine that is gone, MPI_Abort, and what mpirun says otherwise", () => {
  const gone =
    "ORTE has lost communication with a remote daemon. HNP daemon : [[1,0],0] on node a Remote daemon: [[1,0],1] on node b This is usually";
  expect(causeOf([], [gone], "").error.message).toBe(
    "The machine b and its ranks are gone: mpirun has no connection to it.",
  );
  const aborted = "MPI_ABORT was invoked on rank 3 in communicator MPI_COMM_WORLD with errorcode 1.";
  expect(causeOf([], [aborted], "").error.message).toBe("rank 3 ended all ranks (MPI_Abort, code 1).");
  const other = "There are not enough slots available in the system";
  const { lost, error } = causeOf([], [other], "ended with code 1");
  expect([lost, error.code, error.message]).toEqual([false, "E_MPI", `mpirun ended with code 1.\n${other}`]);
});
