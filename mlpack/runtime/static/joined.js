// A CSV file, predicted in pieces and joined with its predictions. Knows nothing of the page.

import { CsvError, Splitter, line, split } from "./csv.js";

const ROWS = 5000; // of one request; fewer where the server takes fewer
const CHARACTERS = 1_000_000;
const LARGE = 10_000; // characters of a body that a server may think too large
const PATIENCE = 5; // attempts while the server is busy

/** Predicts the rows of a file.
 *
 * `post(text)` asks the server for the predictions of a CSV and gives them as CSV; it throws an
 * error with `status`, `errors` and `retryAfter` where the server refuses. `columns` are the names
 * that the model knows; others stay in the file and are not sent.
 */
export class Join {
  refused = []; // {line, column, expected, got}
  rows = 0;
  bad = 0;
  ignored = [];
  header = null; // cells, with those added
  sample = []; // the first rows, with what was added
  #parts = [];
  #held = []; // rows from before the first answer, when nobody knows what will be added
  #added = null;
  #known = [];
  #names = null;
  #head = "";
  #mark = "";
  #pending = [];
  #size = 0;
  #most = ROWS;

  constructor(columns, post, pause, told = () => {}) {
    this.columns = columns;
    this.post = post;
    this.pause = pause;
    this.told = told;
  }

  /** Read a stream of bytes to its end. */
  async read(stream) {
    const splitter = new Splitter();
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    const reader = stream.getReader();
    let first = true;
    for (;;) {
      const { done, value } = await reader.read();
      let text = decode(decoder, value, done);
      if (first && text) {
        first = false;
        if (text.startsWith("\ufeff")) {
          this.#mark = "\ufeff";
          text = text.slice(1);
        }
      }
      await this.#take(splitter.push(text));
      if (done) break;
    }
    await this.#take(splitter.end());
    await this.#flush();
    if (this.#names === null) throw new CsvError("the file is empty: its first line names the columns");
    if (this.rows === 0) throw new CsvError("the file holds no row, only its first line");
  }

  /** The file with its predictions; null where no row got one. */
  blob() {
    if (this.#added === null) return null;
    const head = [this.#head, ...this.#added].join(",");
    return new Blob([this.#mark, head, "\n", ...this.#parts], { type: "text/csv" });
  }

  async #take(records) {
    for (const record of records) {
      if (this.#names === null) {
        this.#start(record);
        continue;
      }
      if (record.cells.length !== this.#names.length) {
        throw new CsvError(
          `line ${record.line} has ${record.cells.length} cells, the first line has ${this.#names.length}`,
        );
      }
      this.#pending.push(record);
      this.#size += record.raw.length;
      if (this.#pending.length >= ROWS || this.#size >= CHARACTERS) await this.#flush();
    }
  }

  #start({ raw, cells }) {
    const twice = cells.find((name, place) => cells.indexOf(name) < place);
    if (twice !== undefined) throw new CsvError(`the first line names ${JSON.stringify(twice)} twice`);
    const wanted = new Set(this.columns);
    this.#known = [...cells.keys()].filter((place) => wanted.has(cells[place]));
    if (!this.#known.length) {
      throw new CsvError(`the first line names none of the model's columns: ${this.columns.join(", ")}`);
    }
    this.ignored = cells.filter((name) => !wanted.has(name));
    this.#names = cells;
    this.#head = raw;
  }

  async #flush() {
    const records = this.#pending;
    this.#pending = [];
    this.#size = 0;
    for (let from = 0; from < records.length; ) {
      const piece = records.slice(from, from + this.#most);
      from += piece.length;
      this.#write(piece, await this.#answers(piece));
      this.rows += piece.length;
      this.told(this);
    }
  }

  /** One record of predictions per record, null for those that are refused. */
  async #answers(records) {
    const answers = records.map(() => null);
    let places = [...records.keys()];
    while (places.length) {
      const names = this.#known.map((place) => this.#names[place]);
      const lines = places.map((place) => line(this.#known.map((cell) => records[place].cells[cell])));
      const text = [line(names), ...lines, ""].join("\n");
      let answered;
      try {
        answered = await this.#patiently(text);
      } catch (error) {
        if (error.status === 422 && this.#note(error.errors, places, records)) {
          const out = new Set(error.errors.map(({ row }) => row));
          places = places.filter((_place, row) => !out.has(row));
          continue;
        }
        // A server that refuses a body for its size may close before it was read, which a browser
        // tells like a server that is gone.
        const large = error.status === 413 || (error.status === 0 && text.length > LARGE);
        if (!large && error.status !== 400) throw error;
        if (places.length === 1 && error.status === 0) throw error;
        if (places.length === 1) {
          this.#refuse(records[places[0]].line, { column: null, expected: "a row that the server takes", got: error.message });
          return answers;
        }
        const half = Math.ceil(places.length / 2);
        if (large) this.#most = Math.min(this.#most, half);
        for (const part of [places.slice(0, half), places.slice(half)]) {
          const found = await this.#answers(part.map((place) => records[place]));
          part.forEach((place, row) => { answers[place] = found[row]; });
        }
        return answers;
      }
      const [head, ...found] = split(answered);
      if (found.length !== places.length) {
        throw new CsvError(`the server answered ${found.length} rows to ${places.length}`);
      }
      this.#added ??= this.#distinct(head.cells);
      places.forEach((place, row) => { answers[place] = found[row]; });
      return answers;
    }
    return answers;
  }

  async #patiently(text) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.post(text);
      } catch (error) {
        if ((error.status !== 503 && error.status !== 429) || attempt === PATIENCE) throw error;
        await this.pause((Number(error.retryAfter) || 1) * 1000);
      }
    }
  }

  /** Write down what is wrong; whether any of it is a row's. */
  #note(errors, places, records) {
    const mine = errors.filter(({ row }) => row < places.length);
    for (const error of mine) this.#refuse(records[places[error.row]].line, error);
    return mine.length > 0;
  }

  #refuse(row, { column, expected, got }) {
    this.refused.push({ line: row, column, expected, got });
  }

  #distinct(added) {
    return added.map((name) => {
      let free = name;
      while (this.#names.includes(free)) free += "_";
      return line([free]);
    });
  }

  #write(records, answers) {
    this.bad += answers.filter((answer) => answer === null).length;
    const rows = records.map((record, place) => ({ record, answer: answers[place] }));
    if (this.#added === null) {
      this.#held.push(...rows);
      return;
    }
    const all = [...this.#held, ...rows];
    this.#held = [];
    const none = ",".repeat(this.#added.length);
    this.header ??= [...this.#names, ...this.#added];
    const text = all.map(({ record, answer }) => record.raw + (answer ? `,${answer.raw}` : none) + "\n");
    // A blob need not stay in memory, as a string would.
    this.#parts.push(new Blob([text.join("")]));
    for (const { record, answer } of all.slice(0, Math.max(0, 10 - this.sample.length))) {
      this.sample.push([...record.cells, ...(answer?.cells ?? this.#added.map(() => ""))]);
    }
  }
}

function decode(decoder, bytes, done) {
  try {
    return decoder.decode(bytes, { stream: !done });
  } catch {
    throw new CsvError("the file is not UTF-8");
  }
}
