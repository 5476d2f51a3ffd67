/* SPDX-License-Identifier: Apache-2.0 */
#include "plot/svg.h"

#include <string.h>

static void put_escaped(FILE *out, const char *words)
{
    for (; *words != '\0'; words++) {
        unsigned char c = (unsigned char)*words;
        switch (c) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc(c >= ' ' ? c : '?', out);
        }
    }
}

void svg_begin(FILE *out, double width, double height, const char *title)
{
    fprintf(out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
            "viewBox=\"0 0 %.0f %.0f\" role=\"img\" font-family=\"'DejaVu Sans', Verdana, "
            "'Helvetica Neue', Arial, sans-serif\">\n<title>",
            width, height, width, height);
    put_escaped(out, title);
    fputs("</title>\n", out);
}

void svg_end(FILE *out)
{
    fputs("</svg>\n", out);
}

void svg_rectangle(FILE *out, double x, double y, double width, double height, const char *colour)
{
    fprintf(out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\"/>\n", x, y,
            width, height, colour);
}

static void put_stroke(FILE *out, const struct svg_stroke *stroke)
{
    fprintf(out, " stroke=\"%s\" stroke-width=\"%.2f\"", stroke->colour, stroke->width);
    if (stroke->dash != NULL) {
        fprintf(out, " stroke-dasharray=\"%s\"", stroke->dash);
    }
    fputs("/>\n", out);
}

void svg_line(FILE *out, double x1, double y1, double x2, double y2,
              const struct svg_stroke *stroke)
{
    fprintf(out, "<line x1=\"%.2f\" y1=\"%.2f\" x2=\"%.2f\" y2=\"%.2f\"", x1, y1, x2, y2);
    put_stroke(out, stroke);
}

void svg_circle(FILE *out, double x, double y, double radius, const char *colour)
{
    fprintf(out,
            "<circle cx=\"%.2f\" cy=\"%.2f\" r=\"%.2f\" fill=\"%s\" stroke=\"#ffffff\" "
            "stroke-width=\"1\"/>\n",
            x, y, radius, colour);
}

void svg_path_begin(FILE *out)
{
    fputs("<polyline fill=\"none\" stroke-linejoin=\"round\" points=\"", out);
}

void svg_path_point(FILE *out, double x, double y)
{
    fprintf(out, "%.2f,%.2f ", x, y);
}

void svg_path_end(FILE *out, const struct svg_stroke *stroke)
{
    fputc('"', out);
    put_stroke(out, stroke);
}

void svg_write(FILE *out, const struct svg_text *text, const char *words)
{
    static const char *const anchors[] = {"start", "middle", "end"};
    fprintf(out, "<text x=\"%.2f\" y=\"%.2f\" font-size=\"%.1f\" fill=\"%s\" text-anchor=\"%s\"",
            text->x, text->y, text->size, text->colour, anchors[text->anchor]);
    if (text->bold) {
        fputs(" font-weight=\"bold\"", out);
    }
    if (text->halo) {
        fputs(" stroke=\"#ffffff\" stroke-width=\"3\" stroke-linejoin=\"round\" "
              "paint-order=\"stroke\"",
              out);
    }
    if (text->upwards) {
        fprintf(out, " transform=\"rotate(-90 %.2f %.2f)\"", text->x, text->y);
    }
    fputc('>', out);
    put_escaped(out, words);
    fputs("</text>\n", out);
}

double svg_text_width(const char *words, double size)
{
    return (double)strlen(words) * size * 0.6;
}
