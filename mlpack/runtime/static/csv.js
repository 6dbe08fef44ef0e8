// CSV as Python's csv module reads it in its strict mode, which is how the server reads it.

const START = 0; // of a field
const PLAIN = 1;
const QUOTED = 2;
const QUOTE = 3; // within a quoted field: its end, or the first of two

export class CsvError extends Error {}

/** Splits text that comes in pieces into records: their text, cells, and line in the file. */
export class Splitter {
  #state = START;
  #cells = [];
  #cell = "";
  #raw = "";
  #line = 1;
  #begun = 1;
  #afterReturn = false;

  /** The records that end within this piece; empty lines are none. */
  push(text) {
    const records = [];
    for (const char of text) {
      const feed = char === "\n";
      if (feed && this.#afterReturn) {
        this.#afterReturn = false;
        if (this.#state === QUOTED) this.#add(char);
        continue; // the second half of a line's end
      }
      this.#afterReturn = char === "\r";
      const ends = feed || this.#afterReturn;
      if (ends) this.#line += 1;
      if (ends && this.#state !== QUOTED) {
        this.#end(records);
      } else {
        this.#raw += char;
        this.#take(char);
      }
    }
    return records;
  }

  /** The last record, if the text does not end with a line's end. */
  end() {
    if (this.#state === QUOTED) {
      throw new CsvError(`line ${this.#begun}: a quoted cell is not closed`);
    }
    const records = [];
    this.#end(records);
    return records;
  }

  #add(char) {
    this.#raw += char;
    this.#cell += char;
  }

  #take(char) {
    if (this.#state === QUOTED) {
      if (char === '"') this.#state = QUOTE;
      else this.#cell += char;
    } else if (char === ",") {
      this.#cells.push(this.#cell);
      this.#cell = "";
      this.#state = START;
    } else if (char === '"' && this.#state === START) {
      this.#state = QUOTED;
    } else if (char === '"' && this.#state === QUOTE) {
      this.#cell += char;
      this.#state = QUOTED;
    } else if (this.#state === QUOTE) {
      throw new CsvError(`line ${this.#line}: a comma must follow the quote that closes a cell`);
    } else {
      this.#cell += char;
      this.#state = PLAIN;
    }
  }

  #end(records) {
    if (this.#raw !== "") {
      this.#cells.push(this.#cell);
      records.push({ raw: this.#raw, cells: this.#cells, line: this.#begun });
    }
    this.#cells = [];
    this.#cell = "";
    this.#raw = "";
    this.#state = START;
    this.#begun = this.#line;
  }
}

/** A record of these cells. A single empty cell is quoted: an empty line is no record. */
export function line(cells) {
  if (cells.length === 1 && cells[0] === "") return '""';
  return cells.map((cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(",");
}

/** The records of a whole text. */
export function split(text) {
  const splitter = new Splitter();
  return [...splitter.push(text), ...splitter.end()];
}
