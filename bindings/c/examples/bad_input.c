/* Every mistake that can be seen is answered by a status, and writes nothing. Run under AddressSanitizer: see `.ci/check c`. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xent.h"

static int failures = 0;

static void expect(const char *what, xent_status got, xent_status want, const char *says) {
    const char *said = xent_last_error();
    int good = got == want && strstr(said, says) != NULL && (want == XENT_OK) == (said[0] == '\0');
    printf("%s %-36s %d \"%s\"\n", good ? "ok " : "BAD", what, (int)got, said);
    failures += !good;
}

static void *other_thread(void *unused) {
    (void)unused;
    /* Errors are those of a thread. */
    failures += xent_last_error()[0] != '\0';
    return NULL;
}

int main(int argc, char **argv) {
    (void)argv;
    float *logits = calloc(6, sizeof *logits), *losses = calloc(2, sizeof *losses);
    float *gradient = calloc(6, sizeof *gradient);
    int32_t *targets = calloc(2, sizeof *targets);
    for (int i = 0; i < 6; i++) gradient[i] = 7;
    const xent_rows rows = {.data = logits, .rows = 2, .classes = 3};
    const xent_rows results = {.data = gradient, .rows = 2, .classes = 3};
    const xent_labels labels = {.data = targets, .dtype = XENT_I32, .len = 2};
    xent_rows bad;
    xent_labels wrong;

    expect("nothing wrong", xent_loss(NULL, &rows, &labels, losses, NULL), XENT_OK, "");
    expect("no logits", xent_loss(NULL, NULL, &labels, losses, NULL), XENT_NULL, "logits");
    expect("no labels", xent_loss(NULL, &rows, NULL, losses, NULL), XENT_NULL, "labels");
    expect("no losses", xent_loss(NULL, &rows, &labels, NULL, NULL), XENT_NULL, "losses");
    if (argc > 1) {
        /* What no library can see, and a sanitizer does: room for one loss, of two rows. */
        float *one = malloc(sizeof *one);
        xent_loss(NULL, &rows, &labels, one, NULL);
        free(one);
    }
    pthread_t thread;
    failures += pthread_create(&thread, NULL, other_thread, NULL) || pthread_join(thread, NULL);
    expect("no gradient", xent_loss_and_gradient(NULL, &rows, &labels, losses, NULL, NULL), XENT_NULL, "results");
    bad = rows, bad.data = NULL;
    expect("no data", xent_loss(NULL, &bad, &labels, losses, NULL), XENT_NULL, "logits");
    expect("no options", xent_options_set_z_loss(NULL, 1), XENT_NULL, "options");

    bad = rows, bad.data = (char *)logits + 1;
    expect("unaligned logits", xent_loss(NULL, &bad, &labels, losses, NULL), XENT_UNALIGNED, "4 bytes");
    wrong = labels, wrong.data = (char *)targets + 2;
    expect("unaligned labels", xent_loss(NULL, &rows, &wrong, losses, NULL), XENT_UNALIGNED, "labels");
    expect("unaligned struct", xent_loss(NULL, (const xent_rows *)((const char *)&rows + 1), &labels, losses, NULL),
           XENT_UNALIGNED, "8 bytes");

    bad = rows, bad.rows = SIZE_MAX;
    expect("too many rows", xent_loss(NULL, &bad, &labels, losses, NULL), XENT_SIZE, "address space");
    bad = rows, bad.classes = SIZE_MAX / 2;
    expect("too many classes", xent_loss(NULL, &bad, &labels, losses, NULL), XENT_SIZE, "address space");
    bad = rows, bad.row_stride = SIZE_MAX / 4;
    expect("a stride of the address space", xent_loss(NULL, &bad, &labels, losses, NULL), XENT_SIZE, "address space");
    bad = rows, bad.class_stride = SIZE_MAX;
    expect("a class stride of it", xent_argmax(NULL, &bad, &bad.rows), XENT_SIZE, "address space");
    bad = rows, bad.classes = 0;
    expect("rows of no classes", xent_loss(NULL, &bad, &labels, losses, NULL), XENT_INVALID, "0 classes");
    bad = results, bad.row_stride = 1;
    expect("results that overlap", xent_softmax(NULL, &rows, &bad), XENT_INVALID, "overlap");
    bad = results, bad.rows = 1;
    expect("results of another shape", xent_softmax(NULL, &rows, &bad), XENT_INVALID, "1 rows");

    bad = rows, bad.data = logits + 1, bad.rows = 1;
    expect("results over some logits", xent_softmax(NULL, &rows, &bad), XENT_OVERLAP, "results");
    expect("losses over logits", xent_loss(NULL, &rows, &labels, logits, NULL), XENT_OVERLAP, "losses");
    expect("losses over labels", xent_loss(NULL, &rows, &labels, (float *)targets, NULL), XENT_OVERLAP, "losses");

    bad = rows, bad.dtype = XENT_BF16, bad.data = (char *)logits + 1;
    expect("unaligned bfloat16", xent_loss(NULL, &bad, &labels, losses, NULL), XENT_UNALIGNED, "2 bytes");
    bad = rows, bad.dtype = 77;
    expect("a type that there is not", xent_loss(NULL, &bad, &labels, losses, NULL), XENT_INVALID, "77");
    wrong = labels, wrong.dtype = 77;
    expect("another one", xent_loss(NULL, &rows, &wrong, losses, NULL), XENT_INVALID, "77");
    wrong = labels, wrong.len = 1;
    expect("too few labels", xent_loss(NULL, &rows, &wrong, losses, NULL), XENT_INVALID, "1 given for 2 rows");
    targets[1] = 3;
    expect("a label that is no class", xent_loss_and_gradient(NULL, &rows, &labels, losses, &results, NULL),
           XENT_INVALID, "the label 3 of row 1");
    targets[1] = 0;

    const xent_token_outputs half = {.above = (uint32_t *)targets};
    expect("half of a rank", xent_token_logprobs(NULL, &rows, NULL, &half), XENT_NULL, "above and equal");
    const xent_token_outputs huge = {.top = SIZE_MAX};
    expect("too many tokens", xent_token_logprobs(NULL, &rows, NULL, &huge), XENT_SIZE, "top");
    const xent_token_outputs chosen = {.chosen = losses};
    expect("no chosen tokens", xent_token_logprobs(NULL, &rows, NULL, &chosen), XENT_NULL, "chosen tokens");

    xent_options *options = xent_options_new();
    expect("too much smoothing", xent_options_set_label_smoothing(options, 1.5, XENT_SMOOTHING_UNIFORM), XENT_INVALID, "1.5");
    expect("no such smoothing", xent_options_set_label_smoothing(options, 0.5, 9), XENT_INVALID, "9");
    expect("no such reduction", xent_options_set_reduction(options, 9), XENT_INVALID, "9");
    expect("no such backend", xent_options_set_backend(options, "abacus"), XENT_INVALID, "abacus");
    expect("what was refused is not set", xent_loss(options, &rows, &labels, losses, NULL), XENT_OK, "");
    const float weights[] = {1, 2};
    expect("weights", xent_options_set_class_weights(options, weights, 2), XENT_OK, "");
    expect("of too few classes", xent_loss(options, &rows, &labels, losses, NULL), XENT_INVALID, "2 values");
    expect("too many weights", xent_options_set_class_weights(options, weights, SIZE_MAX), XENT_SIZE, "class weights");
    xent_options_free(options);
    xent_options_free(NULL);

    for (int i = 0; i < 6; i++) failures += gradient[i] != 7;
    free(logits), free(losses), free(gradient), free(targets);
    printf("%d failures\n", failures);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
