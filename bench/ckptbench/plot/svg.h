/* SPDX-License-Identifier: Apache-2.0 */
/* Drawing into an SVG file. Units are pixels, from the upper left corner. Write errors stay in the
 * stream. */
#ifndef CKPTBENCH_SVG_H
#define CKPTBENCH_SVG_H

#include <stdbool.h>
#include <stdio.h>

enum svg_anchor { SVG_START, SVG_MIDDLE, SVG_END };

struct svg_text {
    double x, y; /* of the base line */
    double size;
    enum svg_anchor anchor;
    const char *colour;
    bool bold;
    bool halo;    /* white around the letters: they lie over other things */
    bool upwards; /* turned by a quarter, as the title of a vertical axis */
};

/* A line's looks. dash: NULL, or SVG's stroke-dasharray. */
struct svg_stroke {
    const char *colour;
    double width;
    const char *dash;
};

void svg_begin(FILE *out, double width, double height, const char *title);
void svg_end(FILE *out);
void svg_rectangle(FILE *out, double x, double y, double width, double height, const char *colour);
void svg_line(FILE *out, double x1, double y1, double x2, double y2,
              const struct svg_stroke *stroke);
void svg_circle(FILE *out, double x, double y, double radius, const char *colour);

/* A line through several points: begin, each point, end. */
void svg_path_begin(FILE *out);
void svg_path_point(FILE *out, double x, double y);
void svg_path_end(FILE *out, const struct svg_stroke *stroke);

/* What is no plain ASCII of XML's is escaped. */
void svg_write(FILE *out, const struct svg_text *text, const char *words);

/* About how wide a text is; no font is asked. */
double svg_text_width(const char *words, double size);

#endif
