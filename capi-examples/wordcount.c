/*
 * Counts the words in thousands of files, on all cores, and then once more on one.
 *
 *     wordcount [folder ...]        without folders: /usr/include, and the library of the host's Python
 *
 * For each letter there is a cown with a table of the words that begin with it. A behaviour for each file
 * reads it and finds its words. They lie in a cown as well, over which it schedules a behaviour for each
 * letter in turn: that one writes the letter's table and only reads the words, as those of the other
 * letters do at the same time. When the last of them has ended, nobody refers to the file any more, and
 * it is freed. There is no lock, and nobody says when to free.
 */
#define _XOPEN_SOURCE 700
#include "example.h"

#include <ftw.h>
#include <string.h>

enum { LETTERS = 26, TOP = 10, IN_FLIGHT = 200 };

/* ---- The work itself, which is the same for both ways ---- */

struct word {
    const char *text; /* not terminated: it lies within the file */
    uint32_t length;
    uint32_t hash;
};

struct entry {
    struct word word;
    uint64_t count; /* 0: the place is free */
};

/* A file, and each word that is in it, those of one letter side by side. */
struct page {
    char *text;
    struct entry *words;
    size_t first[LETTERS + 1];
};

/* How often each word was found: a hash table with open addressing. */
struct table {
    struct entry *entries;
    size_t used, capacity;
};

/* Upper and lower case is one; anything else is no letter. */
static int letter(char c) {
    return c >= 'a' && c <= 'z' ? c - 'a' : c >= 'A' && c <= 'Z' ? c - 'A' : -1;
}

/* The content of a file, or NULL if that is no text. */
static char *load(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return NULL;
    }
    char *text = NULL;
    if (fseek(file, 0, SEEK_END) == 0 && ftell(file) > 0) {
        *size = (size_t)ftell(file);
        rewind(file);
        text = malloc(*size);
        if (fread(text, 1, *size, file) != *size || memchr(text, '\0', *size) != NULL) {
            free(text);
            text = NULL;
        }
    }
    fclose(file);
    return text;
}

/* The next word from `*at` on, which moves behind it; its letter, or -1 at the end. */
static int next_word(char **at, char *end, struct word *word) {
    while (*at < end && letter(**at) < 0) {
        ++*at;
    }
    if (*at == end) {
        return -1;
    }
    int first = letter(**at);
    uint32_t hash = 2166136261u; /* FNV-1a */
    word->text = *at;
    for (int c; *at < end && (c = letter(**at)) >= 0; ++*at) {
        **at = (char)('a' + c);
        hash = (hash ^ (uint32_t)c) * 16777619u;
    }
    word->length = (uint32_t)(*at - word->text);
    word->hash = hash;
    return first;
}

/* The place of a word, which is free if the word is new. */
static struct entry *find(const struct table *table, const struct word *word) {
    size_t mask = table->capacity - 1, i = word->hash & mask;
    for (;; i = (i + 1) & mask) {
        struct entry *entry = &table->entries[i];
        if (entry->count == 0 ||
            (entry->word.hash == word->hash && entry->word.length == word->length &&
             memcmp(entry->word.text, word->text, word->length) == 0)) {
            return entry;
        }
    }
}

static void grow(struct table *table) {
    struct table larger = {NULL, table->used, table->capacity ? 2 * table->capacity : 64};
    larger.entries = calloc(larger.capacity, sizeof *larger.entries);
    for (size_t i = 0; i < table->capacity; i++) {
        if (table->entries[i].count > 0) {
            *find(&larger, &table->entries[i].word) = table->entries[i];
        }
    }
    free(table->entries);
    *table = larger;
}

/* Adds to the count of a word. If it is new, its entry is returned, else NULL. */
static struct entry *add(struct table *table, const struct word *word, uint64_t count) {
    if (4 * table->used >= 3 * table->capacity) {
        grow(table);
    }
    struct entry *entry = find(table, word);
    entry->count += count;
    if (entry->count > count) {
        return NULL;
    }
    entry->word = *word;
    table->used++;
    return entry;
}

static void split(const char *path, struct page *page) {
    size_t size = 0, next[LETTERS] = {0};
    struct table table = {NULL, 0, 0};
    struct word word;
    memset(page, 0, sizeof *page);
    page->text = load(path, &size);
    if (page->text == NULL) {
        return;
    }
    char *at = page->text, *end = at + size;
    for (int c; (c = next_word(&at, end, &word)) >= 0;) {
        page->first[c + 1] += add(&table, &word, 1) != NULL;
    }
    for (int c = 0; c < LETTERS; c++) {
        page->first[c + 1] += page->first[c];
        next[c] = page->first[c];
    }
    page->words = malloc((table.used + 1) * sizeof *page->words);
    for (size_t i = 0; i < table.capacity; i++) {
        if (table.entries[i].count > 0) {
            page->words[next[letter(*table.entries[i].word.text)]++] = table.entries[i];
        }
    }
    free(table.entries);
}

static void page_free(void *page) {
    free(((struct page *)page)->text);
    free(((struct page *)page)->words);
    free(page);
}

/* Counts a page's words that begin with `c`. */
static void count(struct table *table, const struct page *page, int c) {
    for (size_t i = page->first[c]; i < page->first[c + 1]; i++) {
        const struct entry *found = &page->words[i];
        struct entry *entry = add(table, &found->word, found->count);
        if (entry != NULL) {
            /* The file will be gone. */
            char *text = malloc(found->word.length);
            entry->word.text = memcpy(text, found->word.text, found->word.length);
        }
    }
}

static void table_free(void *env) {
    struct table *table = env;
    for (size_t i = 0; i < table->capacity; i++) {
        free((char *)table->entries[i].word.text);
    }
    free(table->entries);
    free(table);
}

static bool table_equal(const struct table *a, const struct table *b) {
    bool equal = a->used == b->used;
    for (size_t i = 0; i < a->capacity && equal; i++) {
        const struct entry *entry = &a->entries[i];
        equal = entry->count == 0 || find(b, &entry->word)->count == entry->count;
    }
    return equal;
}

/* ---- Which files, and how far we are ---- */

static struct {
    char **paths;
    size_t count, capacity;
    double megabytes;
} files;

/* Takes a file if it is text. Reading it here leaves it in memory, so that the first way to count does
 * not wait for the disk any more than the second. */
static int collect(const char *path, const struct stat *status, int type, struct FTW *where) {
    (void)status, (void)where;
    size_t size;
    char *text = type == FTW_F ? load(path, &size) : NULL;
    if (text != NULL) {
        if (files.count == files.capacity) {
            files.capacity = files.capacity ? 2 * files.capacity : 1024;
            files.paths = realloc(files.paths, files.capacity * sizeof *files.paths);
        }
        files.paths[files.count++] = strdup(path);
        files.megabytes += (double)size / 1e6;
        free(text);
    }
    return 0;
}

static void collect_python(void) {
    char folder[4096];
    FILE *python = popen("python3 -c 'import os; print(os.path.dirname(os.__file__))'", "r");
    if (python != NULL && fgets(folder, sizeof folder, python) != NULL) {
        folder[strcspn(folder, "\n")] = '\0';
        nftw(folder, collect, 32, FTW_PHYS);
    }
    if (python != NULL) {
        pclose(python);
    }
}

static void show_progress(const char *way, size_t done) {
    if (done == files.count || done % (files.count / 10 + 1) == 0) {
        fprintf(stderr, "%s: %zu of %zu files\n", way, done, files.count);
    }
}

/* ---- In parallel ---- */

struct job {
    const char *path;
    boc_cown *const *letters;
    const boc_cown *done;
};

static void count_letter(boc_body *body, void *const *values, void *env) {
    (void)body;
    count(values[0], values[1], (int)(intptr_t)env);
}

static void count_done(boc_body *body, void *const *values, void *env) {
    (void)body, (void)env;
    show_progress("all cores", ++*(size_t *)values[0]);
}

static void read_file(boc_body *body, void *const *values, void *env) {
    const struct job *job = env;
    struct page *page = malloc(sizeof *page);
    boc_cown *words;
    boc_batch *batch;
    (void)body, (void)values;
    split(job->path, page);
    must(boc_cown_new(page, page_free, &words));
    /* One step takes less time than up to 26. */
    must(boc_batch_new(NULL, &batch));
    for (int c = 0; c < LETTERS; c++) {
        if (page->first[c] < page->first[c + 1]) {
            boc_request request[] = {{job->letters[c], BOC_WRITE}, {words, BOC_READ}};
            must(boc_batch_when(batch, request, 2, count_letter, (void *)(intptr_t)c, NULL));
        }
    }
    must(boc_batch_schedule(batch, NULL, 0));
    must(boc_cown_release(words));
    boc_request request = {job->done, BOC_WRITE};
    must(boc_when(NULL, &request, 1, count_done, NULL, NULL, NULL));
}

static void count_on_all_cores(const boc_runtime *runtime, boc_cown *const *letters) {
    size_t none = 0;
    boc_cown *done;
    must(boc_cown_new(&none, NULL, &done));
    struct job *jobs = malloc(files.count * sizeof *jobs);
    for (size_t i = 0; i < files.count; i++) {
        jobs[i] = (struct job){files.paths[i], letters, done};
        must(boc_when(boc_runtime_executor(runtime), NULL, 0, read_file, &jobs[i], NULL, NULL));
    }
    must(boc_runtime_quiesce(runtime, BOC_FOREVER));
    must(boc_cown_release(done));
    free(jobs);
}

/* ---- The same on one core ---- */

static void count_on_one_core(struct table *const *tables) {
    for (size_t i = 0; i < files.count; i++) {
        struct page *page = malloc(sizeof *page);
        split(files.paths[i], page);
        for (int c = 0; c < LETTERS; c++) {
            count(tables[c], page, c);
        }
        page_free(page);
        show_progress("one core", i + 1);
    }
}

/* ---- What was found ---- */

/* Holds all letters: compares them with what one core has found, and prints the words found most often.
 * Its result is not NULL if all is equal. */
static void conclude(boc_body *body, void *const *letters, void *env) {
    struct table *const *expected = env;
    const struct entry *top[TOP + 1] = {NULL};
    size_t found = 0, words = 0;
    bool equal = true;
    for (int c = 0; c < LETTERS; c++) {
        const struct table *table = letters[c];
        equal &= table_equal(table, expected[c]);
        words += table->used;
        for (size_t i = 0; i < table->capacity; i++) {
            /* Sorted in from the end, over which the least one falls. */
            size_t place = found;
            const struct entry *entry = &table->entries[i];
            for (; place > 0 && top[place - 1]->count < entry->count; place--) {
                top[place] = top[place - 1];
            }
            top[place] = entry;
            found += found < TOP && entry->count > 0;
        }
    }
    printf("%zu words, %s\n", words, equal ? "found as often by both" : "WRONG: the counts differ");
    for (size_t i = 0; i < found; i++) {
        printf("%9llu %.*s\n", (unsigned long long)top[i]->count, (int)top[i]->word.length,
               top[i]->word.text);
    }
    must(boc_body_set_result(body, equal ? &files : NULL, NULL));
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        nftw(argv[i], collect, 32, FTW_PHYS);
    }
    if (argc == 1) {
        nftw("/usr/include", collect, 32, FTW_PHYS);
        collect_python();
    }
    if (files.count == 0) {
        fprintf(stderr, "usage: %s [folder ...], with files of text in them\n", argv[0]);
        return 2;
    }
    printf("%zu files of text, %.1f MB\n", files.count, files.megabytes);
    fflush(stdout);

    boc_runtime_options options = BOC_RUNTIME_OPTIONS_INIT;
    /* So that files are not read much faster than their words are counted. */
    options.max_in_flight = IN_FLIGHT;
    boc_runtime *runtime;
    must(boc_runtime_new(&options, &runtime));

    struct table *tables[LETTERS];
    boc_cown *letters[LETTERS];
    boc_request requests[LETTERS];
    for (int c = 0; c < LETTERS; c++) {
        tables[c] = calloc(1, sizeof *tables[c]);
        must(boc_cown_new(calloc(1, sizeof *tables[c]), table_free, &letters[c]));
        requests[c] = (boc_request){letters[c], BOC_READ};
    }

    double start = seconds();
    count_on_all_cores(runtime, letters);
    double parallel = seconds() - start;
    start = seconds();
    count_on_one_core(tables);
    double serial = seconds() - start;

    boc_result *concluded;
    void *equal;
    must(boc_when(boc_runtime_executor(runtime), requests, LETTERS, conclude, tables, NULL, &concluded));
    must(boc_result_take(concluded, BOC_FOREVER, &equal));
    must(boc_result_release(concluded));
    printf("%.2f s on %zu workers, %.2f s on one core: %.2f times as fast\n", parallel,
           boc_runtime_workers(runtime), serial, serial / parallel);

    for (int c = 0; c < LETTERS; c++) {
        table_free(tables[c]);
        must(boc_cown_release(letters[c]));
    }
    must(boc_runtime_release(runtime));
    for (size_t i = 0; i < files.count; i++) {
        free(files.paths[i]);
    }
    free(files.paths);
    return equal != NULL ? 0 : 1;
}
