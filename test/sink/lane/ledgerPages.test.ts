import { describe, expect, it } from "vitest";
import { ledgerPages } from "../../../src/sink/lane/ledgerPages.ts";

const stand = (position: number) => ({ position: `${position}`, ahead: "" });
const news = () => true;
const none: ReadonlyMap<string, ReturnType<typeof stand>> = new Map();

describe("the pages of a ledger", () => {
  it("say where each lane stands that has moved since the last one, and up to where it had no event", () => {
    const pages = ledgerPages(none);
    pages.began("a", "1");
    pages.movedTo("a", stand(2), news);
    pages.movedTo("b", stand(3), news);
    pages.movedTo("a", stand(4), news);

    expect(pages.moved()).toBe(2);
    expect(pages.take()).toEqual(["lane:a", '["4",""]', "lane:b", '["3",""]', "begin:a", "1"]);
    expect(pages.moved()).toBe(0);
    expect(pages.take()).toEqual([]);
  });

  it("say nothing of what the ledger knows already", () => {
    const pages = ledgerPages(none);
    pages.movedTo("a", stand(2), () => false);

    expect(pages.take()).toEqual([]);
  });

  it("say of a lane that has lost something where it stands, once all has been written once more", () => {
    const pages = ledgerPages(new Map([["a", stand(1)]]));
    pages.movedTo("a", stand(2), () => false);

    expect(pages.moved()).toBe(0);
    expect(pages.standOf("a")).toEqual(stand(2));
    expect(pages.take()).toEqual(["lane:a", '["2",""]']);
    pages.movedTo("a", stand(3), () => false);
    expect(pages.take()).toEqual([]);
  });

  it("know where a lane stands until the next page but one is taken", () => {
    const pages = ledgerPages(none);
    pages.movedTo("a", stand(2), news);
    expect(pages.standOf("a")).toEqual(stand(2));
    pages.take();
    expect(pages.standOf("a")).toEqual(stand(2));
    pages.take();
    expect(pages.standOf("a")).toBeUndefined();
  });
});
