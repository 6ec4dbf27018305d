/* Softmax cross-entropy with logits on CPUs.
 *
 * Written by cbindgen from the Rust code in bindings/c: see its README.md. */

#ifndef XENT_H
#define XENT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

// Incremented where a program that was compiled against an older header would no longer work.
#define XENT_ABI_VERSION 1

// Logits and results of 32 bits: `float`.
#define XENT_F32 0

// bfloat16: the upper 16 bits of a float. Logits are widened as they are read, which is exact; results are rounded.
#define XENT_BF16 1

// IEEE half precision, as `_Float16`: as `XENT_BF16`.
#define XENT_F16 2

// Labels of type `int32_t`.
#define XENT_I32 0

// Labels of type `int64_t`.
#define XENT_I64 1

// Labels of type `uint32_t`.
#define XENT_U32 2

// Losses are not reduced to one number; the summary has their sum.
#define XENT_REDUCTION_NONE 0

// The sum of losses.
#define XENT_REDUCTION_SUM 1

// Their mean over rows that are not ignored.
#define XENT_REDUCTION_MEAN 2

// Smoothing gives to all classes, the label's too.
#define XENT_SMOOTHING_UNIFORM 0

// Smoothing gives to the other classes alone.
#define XENT_SMOOTHING_OTHERS 1

// How a call went. Where it is not `XENT_OK`, nothing has been written, unless it is `XENT_PANIC`, and `xent_last_error` says
// why.
typedef enum {
  // All that was asked for has been written.
  XENT_OK = 0,
  // A pointer is NULL that must not be.
  XENT_NULL = 1,
  // A pointer is not aligned to the type that it points to.
  XENT_UNALIGNED = 2,
  // Sizes or strides are beyond the address space.
  XENT_SIZE = 3,
  // What is written overlaps with what is read, or with something else that is written.
  XENT_OVERLAP = 4,
  // A type, shape, label or option is none that there is.
  XENT_INVALID = 5,
  // There is not enough memory.
  XENT_OUT_OF_MEMORY = 6,
  // A mistake of the library's. Please report it.
  XENT_PANIC = 7,
} xent_status;

// Options of the loss. Made by `xent_options_new`; several threads may use the same ones as long as none changes them.
typedef struct xent_options xent_options;

// Rows of values, one for each class.
//
// A field that is not named is 0, and 0 stands for what is usual: `(xent_rows){.data = x, .rows = 8, .classes = 1000}` are
// 8 × 1000 floats that follow each other.
typedef struct {
  // The first value. It may be NULL where there are no rows.
  void *data;
  // `XENT_F32`, `XENT_BF16` or `XENT_F16`.
  uint32_t dtype;
  // How many rows there are.
  size_t rows;
  // How many values each of them has.
  size_t classes;
  // Values from the start of a row to that of the next; 0 for rows that follow each other.
  size_t row_stride;
  // Values from a class of a row to the next; 0 for 1.
  size_t class_stride;
} xent_rows;

// One class index for each row.
typedef struct {
  // The first label. It may be NULL where there are none.
  const void *data;
  // `XENT_I32`, `XENT_I64` or `XENT_U32`.
  uint32_t dtype;
  // How many there are: as many as rows.
  size_t len;
} xent_labels;

// What the losses of the rows add up to.
typedef struct {
  // The reduced loss; without a reduction the sum.
  float value;
  // The number of rows that are not ignored.
  size_t used_rows;
  // The sum of their weights.
  double weight_sum;
  // The number of rows whose loss is infinite or NaN.
  size_t non_finite_rows;
} xent_summary;

// What is read of the logits of tokens, in one pass. Each pointer may be NULL for what is not wanted.
typedef struct {
  // The log-probability of each row's chosen token.
  float *chosen;
  // How many logits of each row are above that of its chosen token.
  uint32_t *above;
  // How many equal it, itself among them.
  uint32_t *equal;
  // How many of the most probable tokens are wanted of each row.
  size_t top;
  // Those tokens, rows * top, in falling order; `UINT32_MAX` after all that take part.
  uint32_t *top_ids;
  // Their log-probabilities, rows * top.
  float *top_logprobs;
  // The entropy of each row.
  float *entropy;
  // `ln sum e^x` of each row.
  float *log_sum_exp;
} xent_token_outputs;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The ABI version of the library that runs: compare it with `XENT_ABI_VERSION`, which is that of the header.
uint32_t xent_abi_version(void);

// The version of the library, `"0.1.0"`. The string is never freed.
const char *xent_version(void);

// The loss of each row, in nats, and what they add up to. `options` may be NULL for a plain loss, `summary` where it is not
// wanted.
//
// # Safety
//
// `logits` and `labels` are there, and the memory that they describe; `losses` has a float for each row.
xent_status xent_loss(const xent_options *options,
                      const xent_rows *logits,
                      const xent_labels *labels,
                      float *losses,
                      xent_summary *summary);

// As `xent_loss`, with the gradient of the reduced loss with respect to the logits: of their shape, elsewhere, or over the
// logits where `gradient` describes the same memory.
//
// # Safety
//
// As `xent_loss`, and for `gradient`; nobody else uses what lies between its first value and its last.
xent_status xent_loss_and_gradient(const xent_options *options,
                                   const xent_rows *logits,
                                   const xent_labels *labels,
                                   float *losses,
                                   const xent_rows *gradient,
                                   xent_summary *summary);

// The probabilities of each row, after temperature, soft cap and mask: elsewhere, or, without these options, over the logits
// where `results` describes the same memory.
//
// # Safety
//
// As `xent_loss_and_gradient`.
xent_status xent_softmax(const xent_options *options,
                         const xent_rows *logits,
                         const xent_rows *results);

// As `xent_softmax`, the logarithms.
//
// # Safety
//
// As `xent_loss_and_gradient`.
xent_status xent_log_softmax(const xent_options *options, const xent_rows *logits, const xent_rows *results);

// `ln sum e^x` of each row, without options but those of where it runs.
//
// # Safety
//
// `logits` is there, and the memory that it describes; `results` has a float for each row.
xent_status xent_log_sum_exp(const xent_options *options, const xent_rows *logits, float *results);

// The class of each row's largest logit: of the first NaN, else of the first largest one.
//
// # Safety
//
// As `xent_log_sum_exp`, with a `size_t` for each row.
xent_status xent_argmax(const xent_options *options, const xent_rows *logits, size_t *results);

// Log-probabilities of tokens: of the chosen one, with its rank, and of the most probable ones. `chosen` may be NULL where
// nothing is wanted of chosen tokens. Of the options temperature, soft cap, mask and the ignored label count.
//
// # Safety
//
// `logits`, `outputs` and, unless it is NULL, `chosen` are there, and the memory that they describe.
xent_status xent_token_logprobs(const xent_options *options,
                                const xent_rows *logits,
                                const xent_labels *chosen,
                                const xent_token_outputs *outputs);

// New options: those of a plain loss. NULL where there is no memory.
xent_options *xent_options_new(void);

// Frees options. NULL is nothing to free.
//
// # Safety
//
// `options` is NULL, or from `xent_options_new` and not freed before.
void xent_options_free(xent_options *options);

// `XENT_REDUCTION_NONE`, `XENT_REDUCTION_SUM` or `XENT_REDUCTION_MEAN`.
//
// # Safety
//
// `options` is NULL, or from `xent_options_new` and used by nobody else meanwhile.
xent_status xent_options_set_reduction(xent_options *options, uint32_t reduction);

// Moves a part `epsilon`, 0 to 1, of each label's mass to other classes: `XENT_SMOOTHING_UNIFORM` or `XENT_SMOOTHING_OTHERS`.
//
// # Safety
//
// As `xent_options_set_reduction`.
xent_status xent_options_set_label_smoothing(xent_options *options,
                                             double epsilon,
                                             uint32_t smoothing);

// What a mean divides by, in place of the number of rows: a positive number, such as that of the rows of all machines.
//
// # Safety
//
// As `xent_options_set_reduction`.
xent_status xent_options_set_denominator(xent_options *options,
                                         double denominator);

// The label of rows that take no part: any number.
//
// # Safety
//
// As `xent_options_set_reduction`.
xent_status xent_options_set_ignore_index(xent_options *options, int64_t ignored);

// Adds `z_loss` times the square of the log-sum-exp to each loss: a number of at least 0.
//
// # Safety
//
// As `xent_options_set_reduction`.
xent_status xent_options_set_z_loss(xent_options *options, double z_loss);

// Divides logits by a positive number, after the soft cap.
//
// # Safety
//
// As `xent_options_set_reduction`.
xent_status xent_options_set_temperature(xent_options *options, double temperature);

// Makes of each logit `soft_cap * tanh(logit / soft_cap)`: a positive number.
//
// # Safety
//
// As `xent_options_set_reduction`.
xent_status xent_options_set_soft_cap(xent_options *options, double soft_cap);

// What gradients are multiplied by: the gradient of what is made of the loss.
//
// # Safety
//
// As `xent_options_set_reduction`.
xent_status xent_options_set_upstream(xent_options *options, float upstream);

// One weight for each class, which is copied; NULL for none.
//
// # Safety
//
// As `xent_options_set_reduction`, and there are `len` weights.
xent_status xent_options_set_class_weights(xent_options *options, const float *weights, size_t len);

// One weight for each row, which is copied; NULL for none. A row of weight 0 is not read.
//
// # Safety
//
// As `xent_options_set_class_weights`.
xent_status xent_options_set_row_weights(xent_options *options, const float *weights, size_t len);

// Which classes take part: those whose byte is not 0. The bytes are copied; NULL for all classes.
//
// # Safety
//
// As `xent_options_set_reduction`, and there are `len` bytes.
xent_status xent_options_set_class_mask(xent_options *options, const uint8_t *mask, size_t len);

// The backend that calls run on, `"avx2"` or `"portable"` for instance; NULL for the best there is.
//
// # Safety
//
// As `xent_options_set_reduction`, and `name` is a string that ends with a NUL.
xent_status xent_options_set_backend(xent_options *options, const char *name);

// Whether calls run on the calling thread alone: 0 for no, anything else for yes.
//
// # Safety
//
// As `xent_options_set_reduction`.
xent_status xent_options_set_on_this_thread(xent_options *options, uint32_t alone);

// What went wrong in the last call of this thread: a sentence, or an empty string where it went well. It is there until
// this thread's next call; do not free it.
const char *xent_last_error(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* XENT_H */
