/* Losses, gradients, probabilities and log-probabilities of tokens, from C. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "xent.h"

static void must(xent_status status) {
    if (status != XENT_OK) {
        fprintf(stderr, "xent: %s\n", xent_last_error());
        exit(EXIT_FAILURE);
    }
}

static void near(const char *what, float got, double want) {
    printf("%-28s %.7g\n", what, got);
    if (!(fabs(got - want) < 1e-6)) {
        fprintf(stderr, "%s is %.9g, expected %.9g\n", what, got, want);
        exit(EXIT_FAILURE);
    }
}

int main(void) {
    if (xent_abi_version() != XENT_ABI_VERSION) {
        fputs("the header and the library are of different versions\n", stderr);
        return EXIT_FAILURE;
    }
    printf("xent %s\n", xent_version());

    float logits[] = {1, 2, 3, 1, 2, 3, 9, 9, 9};
    const int64_t targets[] = {2, 0, -100};
    float losses[3], gradient[9];
    xent_summary summary;
    const xent_rows rows = {.data = logits, .rows = 3, .classes = 3};
    const xent_rows results = {.data = gradient, .rows = 3, .classes = 3};
    const xent_labels labels = {.data = targets, .dtype = XENT_I64, .len = 3};

    xent_options *mean = xent_options_new();
    must(xent_options_set_reduction(mean, XENT_REDUCTION_MEAN));
    must(xent_options_set_ignore_index(mean, -100));
    must(xent_loss_and_gradient(mean, &rows, &labels, losses, &results, &summary));
    near("loss of class 2", losses[0], 0.40760596);
    near("loss of class 0", losses[1], 2.40760596);
    near("mean of two rows", summary.value, 1.40760596);
    near("gradient at class 2", gradient[2], -0.16737953);
    near("gradient of an ignored row", gradient[8], 0);

    must(xent_softmax(NULL, &rows, &results));
    near("probability", gradient[2], 0.66524096);

    /* Columns: the same classes of all rows follow each other. */
    const xent_rows columns = {.data = logits, .rows = 3, .classes = 3, .row_stride = 1, .class_stride = 3};
    must(xent_log_sum_exp(NULL, &columns, losses));
    near("log-sum-exp of a column", losses[0], 9.00067069);

    float chosen[3], top[6];
    uint32_t ids[6];
    const uint32_t tokens[] = {0, 1, 2};
    const xent_labels of_tokens = {.data = tokens, .dtype = XENT_U32, .len = 3};
    const xent_token_outputs wanted = {.chosen = chosen, .top = 2, .top_ids = ids, .top_logprobs = top};
    must(xent_token_logprobs(NULL, &rows, &of_tokens, &wanted));
    near("log-probability of token 0", chosen[0], -2.40760596);
    near("of the most probable one", top[0], -0.40760596);

    xent_options *options = xent_options_new();
    must(xent_options_set_label_smoothing(options, 0.1, XENT_SMOOTHING_UNIFORM));
    must(xent_options_set_ignore_index(options, -100));
    must(xent_loss(options, &rows, &labels, losses, NULL));
    near("loss with smoothed labels", losses[0], 0.50760596);
    const uint8_t mask[] = {1, 1, 0};
    must(xent_options_set_temperature(options, 2));
    must(xent_options_set_class_mask(options, mask, 3));
    must(xent_softmax(options, &rows, &results));
    near("with a temperature, masked", gradient[1], 0.62245933);
    near("of a masked class", gradient[2], 0);
    xent_options_free(options);

    /* bfloat16: 1, 2 and 3, and 32 bits of gradient. */
    const uint16_t narrow[] = {0x3f80, 0x4000, 0x4040};
    const xent_rows halves = {.data = (void *)narrow, .dtype = XENT_BF16, .rows = 1, .classes = 3};
    const xent_rows one_row = {.data = gradient, .rows = 1, .classes = 3};
    const xent_labels one_label = {.data = targets, .dtype = XENT_I64, .len = 1};
    must(xent_loss_and_gradient(NULL, &halves, &one_label, losses, &one_row, NULL));
    near("loss of bfloat16", losses[0], 0.40760596);
    near("its gradient", gradient[2], -0.33475904);

    /* Over the logits. */
    must(xent_loss_and_gradient(mean, &rows, &labels, losses, &rows, NULL));
    near("gradient in place", logits[2], -0.16737953);
    xent_options_free(mean);
    return ids[0] == 2 && ids[1] == 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
