import type { Entry, Hit } from "stheno:cache/cache@0.1.0";
import { compileGlob } from "./glob";
import type { Options } from "./options";

interface Slot {
  value: Uint8Array;
  expiresMs: bigint;
  tags: Set<string>;
}

/**
 * The entries, their tags and their order of use.
 *
 * Nothing runs between calls, so an entry that has expired is dropped when it
 * is met or pushed out; it is never given to a caller.
 */
export class Store {
  /** A `Map` keeps the order of insertion: the least recently used is first. */
  readonly #slots = new Map<string, Slot>();
  readonly #keysByTag = new Map<string, Set<string>>();

  constructor(
    private readonly options: Options,
    private readonly nowMs: () => bigint,
  ) {}

  get(key: string): Uint8Array | undefined {
    const slot = this.#slots.get(key);
    if (slot === undefined) {
      return undefined;
    }
    if (slot.expiresMs <= this.nowMs()) {
      this.delete(key);
      return undefined;
    }
    this.#slots.delete(key);
    this.#slots.set(key, slot);
    return slot.value;
  }

  getByTags(tags: string[]): Hit[] {
    const hits: Hit[] = [];
    for (const key of this.#keysOf(tags)) {
      const value = this.get(key);
      if (value !== undefined) {
        hits.push({ key, value });
      }
    }
    return hits;
  }

  set({ key, value, ttlMs = this.options.ttlMs, tags }: Entry): void {
    this.delete(key);
    if (ttlMs === 0n) {
      return;
    }
    const slot = { value, expiresMs: this.nowMs() + ttlMs, tags: new Set(tags) };
    this.#slots.set(key, slot);
    for (const tag of slot.tags) {
      let keys = this.#keysByTag.get(tag);
      if (keys === undefined) {
        this.#keysByTag.set(tag, (keys = new Set()));
      }
      keys.add(key);
    }
    for (const oldest of this.#slots.keys()) {
      if (this.#slots.size <= this.options.maxEntries) {
        break;
      }
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    const slot = this.#slots.get(key);
    if (slot === undefined) {
      return;
    }
    this.#slots.delete(key);
    for (const tag of slot.tags) {
      const keys = this.#keysByTag.get(tag);
      keys?.delete(key);
      if (keys?.size === 0) {
        this.#keysByTag.delete(tag);
      }
    }
  }

  clearTags(tags: string[]): void {
    for (const key of this.#keysOf(tags)) {
      this.delete(key);
    }
  }

  clearMatching(pattern: string): void {
    const matches = compileGlob(pattern);
    for (const key of [...this.#slots.keys()]) {
      if (matches(key)) {
        this.delete(key);
      }
    }
  }

  /** A copy, so that the caller may delete while it goes through it. */
  #keysOf(tags: string[]): Set<string> {
    const keys = new Set<string>();
    for (const tag of tags) {
      for (const key of this.#keysByTag.get(tag) ?? []) {
        keys.add(key);
      }
    }
    return keys;
  }
}
