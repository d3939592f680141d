using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Verifier.Tests;

/// <summary>What messages say beyond code and place, for programs whose fault is easily misread.</summary>
public sealed class MessageTests
{
    private static Rejection Of(string name)
    {
        var test = Attacks.All.Concat(Holes.All).Single(test => test.Name == name);
        return ProgramVerifier.Verify(test.Spec, test.Options).Rejection!;
    }

    [Fact]
    public void A_register_that_held_a_released_record_says_so()
    {
        var rejection = Of("a record used after it was submitted");
        Assert.Contains("a ring-buffer record that it held is gone since bpf_ringbuf_submit()", rejection.Message, StringComparison.Ordinal);
        Assert.Contains("use it before that call", rejection.Help, StringComparison.Ordinal);
    }

    [Fact]
    public void A_register_that_was_never_written_says_so()
    {
        var rejection = Of("an empty context that is NULL");
        Assert.Contains("nothing was written to it", rejection.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_data_pointer_that_was_moved_after_the_check_says_so() =>
        Assert.Contains("since a number was added to it", Of("a data pointer moved on, and back by less, never compared").Why, StringComparison.Ordinal);

    [Fact]
    public void A_data_pointer_that_was_compared_one_short_is_not_called_uncompared()
    {
        var test = Holes.Hole("", Rule.BufferBounds, """
            r6 = *(u64 *)(r1 + 40)
            r7 = *(u64 *)(r1 + 48)
            r2 = *(u32 *)(r1 + 20)
            r2 &= 15
            r6 += r2
            if r6 > r7 goto out
            !r0 = *(u8 *)(r6 + 0)
            out: r0 = 0
            exit
            """, ProgramTypes.Completion);
        var rejection = ProgramVerifier.Verify(test.Spec, test.Options).Rejection!;
        Assert.Contains("the pointer may be data_end itself: no byte is known to exist from here, 1 are needed", rejection.Why, StringComparison.Ordinal);
    }

    [Fact]
    public void An_index_that_may_be_negative_says_so()
    {
        var rejection = Of("index that may be far below zero");
        Assert.Contains("-2147483648..8", rejection.Message, StringComparison.Ordinal);
        Assert.Contains("can't be negative", rejection.Help, StringComparison.Ordinal);
    }
}
